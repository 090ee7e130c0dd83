// Says when what is on the page may have stopped being true: the connection is lost, or no samples arrive.
import { useTranslation } from "react-i18next";
import { useNow } from "../api/clock";
import { useLive } from "../api/live";
import { useOverview } from "../api/queries";
import { StaleIcon } from "../kit/icons";
import { ageSeconds, durationText, staleAfter } from "../kit/time";

export function ConnectionBanner() {
  const { t } = useTranslation();
  const live = useLive();
  const now = useNow();
  const overview = useOverview().data;
  if (!live.connected) {
    return <div className="kw-banner" data-tone="critical" role="alert"><StaleIcon /> {t("banner.lost")}</div>;
  }
  const newest = live.newestSampleAt ?? overview?.data.newest_sample_at ?? null;
  const age = ageSeconds(newest, now);
  if (newest === null || age < staleAfter) return null;
  return (
    <div className="kw-banner kw-hatched" data-tone="stale" role="status">
      <StaleIcon /> {t("banner.stale", { duration: durationText(age, t) })}
    </div>
  );
}
