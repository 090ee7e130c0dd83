import { useTranslation } from "react-i18next";
import { useNow } from "../api/clock";
import { StaleMark } from "../kit/state";
import { ageSeconds, durationText, staleAfter } from "../kit/time";

// isOld tells whether what was sampled at this time says nothing about now any more.
export const isOld = (time: string, now: number) => ageSeconds(time, now) > staleAfter;

// OldMark is there only when its sample is older than it should be, and says how old.
export function OldMark({ time }: { time: string }) {
  const { t } = useTranslation();
  const now = useNow();
  if (!isOld(time, now)) return null;
  return <StaleMark word={t("ha.old", { duration: durationText(ageSeconds(time, now), t) })} />;
}
