// The figures of the installation in one line, each leading to what it counts.
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { Overview } from "../api/types";
import type { Tone } from "../kit/state";

type Figure = { word: string; value: number | string; to: string; tone?: Tone };

export function Counters({ overview }: { overview: Overview }) {
  const { t } = useTranslation();
  const { problems_total: total, hosts, vips, notifications } = overview;
  const held = vips.filter((vip) => vip.state === "held").length;
  const tone = (n: number, wanted: Tone) => (n > 0 ? wanted : undefined);
  const figures: Figure[] = [
    { word: t("state.critical"), value: total.critical, to: "/alerts?state=critical", tone: tone(total.critical, "critical") },
    { word: t("state.unknown"), value: total.unknown, to: "/alerts?state=unknown", tone: tone(total.unknown, "unknown") },
    { word: t("state.warning"), value: total.warning, to: "/alerts?state=warning", tone: tone(total.warning, "warning") },
    { word: t("overview.acknowledged"), value: total.acknowledged, to: "/alerts" },
    { word: t("overview.hostsUp"), value: `${hosts.up} / ${hosts.total}`, to: hosts.down > 0 ? "/hosts?q=state:down" : "/hosts", tone: tone(hosts.down, "critical") },
    { word: t("overview.vipsHeld"), value: vips.length === 0 ? "–" : `${held} / ${vips.length}`, to: "/ha", tone: tone(vips.length - held, "critical") },
    { word: t("overview.queued"), value: notifications.queued, to: "/contacts?tab=messages" },
    { word: t("overview.failed"), value: notifications.failed_24h, to: "/contacts?tab=messages&status=failed", tone: tone(notifications.failed_24h, "warning") },
  ];
  return (
    <ul className="kw-counters">
      {figures.map((figure) => (
        <li key={figure.word}>
          <Link to={figure.to}>
            <strong data-tone={figure.tone}>{figure.value}</strong>
            <span>{figure.word}</span>
          </Link>
        </li>
      ))}
    </ul>
  );
}
