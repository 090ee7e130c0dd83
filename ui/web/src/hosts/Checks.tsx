import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { CheckView, HostCheck } from "../api/types";
import { figure } from "../charts/units";
import { DataTable, type Column } from "../kit/DataTable";
import { UnknownIcon } from "../kit/icons";
import { hostPath } from "../kit/path";
import { Mark, UpDown } from "../kit/state";
import { Ago } from "../kit/time";

const rank: Record<HostCheck["state"], number> = { down: 0, unknown: 1, up: 2 };

// Checks says of each remote check of a host what its vantage points say together, and what each of them sees.
export function Checks({ cluster, checks }: { cluster: string; checks: HostCheck[] }) {
  const { t } = useTranslation();
  const columns = useMemo(
    (): Column<HostCheck>[] => [
      { id: "state", header: t("column.state"), width: "92px", phone: "lead", sort: (c) => rank[c.state], cell: (c) => <Combined check={c} /> },
      { id: "name", header: t("hosts.check"), width: "minmax(90px, 1fr)", phone: "title", sort: (c) => c.name, cell: (c) => <strong>{c.name}</strong> },
      { id: "target", header: t("hosts.target"), width: "minmax(110px, 1.2fr)", phone: "title", wrap: true, sort: (c) => c.target, cell: (c) => <span className="kw-dim">{c.target}</span> },
      { id: "quorum", header: t("hosts.quorum"), width: "84px", right: true, phone: "side", cell: (c) => <Quorum check={c} /> },
      { id: "views", header: t("hosts.vantage"), width: "minmax(200px, 2.2fr)", wrap: true, phone: "meta", cell: (c) => <Views cluster={cluster} views={c.views} /> },
    ],
    [t, cluster],
  );
  return (
    <DataTable
      label={t("hosts.checks")}
      rows={checks}
      columns={columns}
      order="state"
      rowKey={(c) => `${c.name}/${c.target}`}
      stale={(c) => c.state === "unknown"}
      empty={null}
    />
  );
}

function Combined({ check }: { check: HostCheck }) {
  const { t } = useTranslation();
  if (check.state === "unknown") return <Mark look={{ icon: UnknownIcon, tone: "unknown" }} word={t("state.unknown")} />;
  return <UpDown up={check.state === "up"} strong={check.state === "down"} />;
}

// Quorum is how many vantage points must say down, of those that look.
function Quorum({ check }: { check: HostCheck }) {
  const { t } = useTranslation();
  const looking = check.views.filter((view) => view.fresh).length;
  if (looking === 0) return <>–</>;
  return <span title={t("hosts.quorumTitle", { quorum: check.quorum, count: looking })}>{check.quorum} / {looking}</span>;
}

function Views({ cluster, views }: { cluster: string; views: CheckView[] }) {
  return (
    <ul className="kw-views">
      {views.map((view) => (
        <li key={view.vantage} className={view.fresh ? "kw-line" : "kw-line kw-hatched"}>
          <UpDown up={view.up} />
          <Link to={hostPath(cluster, view.vantage)}>{view.vantage}</Link>
          {view.seconds !== null && <span className="kw-num">{figure(view.seconds, "seconds")}</span>}
          <span className="kw-dim"><Ago at={view.time} /></span>
        </li>
      ))}
    </ul>
  );
}
