// How new the newest sample is: the page must never look fine because nothing arrives.
import { useTranslation } from "react-i18next";
import { useNow } from "../api/clock";
import { useLive } from "../api/live";
import type { Overview } from "../api/types";
import { figure } from "../charts/units";
import { StaleIcon } from "../kit/icons";
import { ageSeconds, Ago, staleAfter } from "../kit/time";

export function Freshness({ overview }: { overview: Overview }) {
  const { t } = useTranslation();
  const now = useNow();
  const live = useLive().newestSampleAt;
  const newest = [live, overview.data.newest_sample_at].filter((at) => at !== null).sort().at(-1) ?? null;
  const { samples_per_second: rate, writer_lag_seconds: lag } = overview.data;
  const stale = ageSeconds(newest, now) > staleAfter;
  return (
    <span className={stale ? "kw-fresh kw-hatched" : "kw-fresh"} data-tone={stale ? "stale" : undefined}>
      {stale && <StaleIcon />}
      {newest === null ? t("fresh.none") : <span>{t("fresh.newest")} <Ago at={newest} /></span>}
      {rate !== null && <span className="kw-num">{t("fresh.rate", { rate: figure(Math.round(rate)) })}</span>}
      {lag !== null && lag > 5 && <span className="kw-num" data-tone="warning">{t("fresh.lag", { lag: figure(lag, "seconds") })}</span>}
    </span>
  );
}
