// One sentence that answers the question for which the page was opened.
import { useTranslation } from "react-i18next";
import type { Overview, State } from "../api/types";
import { useNow } from "../api/clock";
import { StateMark } from "../kit/state";
import { ageSeconds, durationText, staleAfter } from "../kit/time";

function worst(overview: Overview): State {
  const { critical, warning, unknown } = overview.problems_total;
  if (critical > 0 || overview.vips.some((vip) => vip.state !== "held")) return "critical";
  if (unknown > 0) return "unknown";
  return warning > 0 || overview.hosts.down > 0 ? "warning" : "ok";
}

export function Verdict({ overview }: { overview: Overview }) {
  const { t } = useTranslation();
  const now = useNow(5);
  const { problems, problems_total: total, hosts, vips } = overview;
  const sum = total.critical + total.warning + total.unknown;
  // Old data proves nothing: no all-is-well from what has stopped arriving.
  const stale = ageSeconds(overview.data.newest_sample_at, now) > staleAfter;
  const state = worst(overview);
  const lost = vips.filter((vip) => vip.state !== "held").length;
  const parts: string[] = [];
  if (sum > 0) {
    const oldest = Math.min(...problems.map((alert) => Date.parse(alert.since)));
    parts.push(t("verdict.problems", { count: sum, duration: durationText((now - oldest) / 1000, t) }));
    const free = sum - total.acknowledged;
    parts.push(free > 0 ? t("verdict.free", { count: free }) : t("verdict.taken"));
  }
  if (lost > 0) parts.push(t("verdict.vips", { count: lost }));
  if (hosts.down > 0) parts.push(t("verdict.down", { count: hosts.down }));
  if (parts.length === 0) parts.push(stale ? t("verdict.stale") : t("verdict.well", { count: hosts.up, vips: vips.length }));
  return (
    <div className="kw-verdict" data-state={stale && state === "ok" ? "stale" : state} role="status">
      <StateMark state={stale && state === "ok" ? "unknown" : state} strong />
      <span>{parts.join(t("verdict.join"))}</span>
    </div>
  );
}
