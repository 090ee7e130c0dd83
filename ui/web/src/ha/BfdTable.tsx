import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { useNow } from "../api/clock";
import type { Bfd } from "../api/types";
import { figure } from "../charts/units";
import { DataTable, type Column } from "../kit/DataTable";
import { UnknownIcon } from "../kit/icons";
import { Empty } from "../kit/Page";
import { Mark, UpDown } from "../kit/state";
import { HostLink } from "./HostLink";
import { isOld, OldMark } from "./OldMark";

const rank: Record<Bfd["state"], number> = { down: 0, unknown: 1, up: 2 };

// BfdTable says of each end of a BFD session whether it hears the other one.
export function BfdTable({ sessions }: { sessions: Bfd[] }) {
  const { t } = useTranslation();
  const now = useNow(5);
  const columns = useMemo(
    (): Column<Bfd>[] => [
      { id: "state", header: t("column.state"), width: "minmax(100px, 0.7fr)", phone: "lead", sort: (b) => rank[b.state], cell: (b) => <How session={b} /> },
      { id: "session", header: t("ha.session"), width: "minmax(60px, 0.8fr)", phone: "title", sort: (b) => b.session, cell: (b) => <strong>{b.session}</strong> },
      { id: "host", header: t("column.host"), width: "minmax(70px, 0.9fr)", phone: "title", sort: (b) => b.host, cell: (b) => <HostLink cluster={b.cluster} host={b.host} /> },
      { id: "peer", header: t("ha.peer"), width: "minmax(100px, 1.1fr)", phone: "meta", sort: (b) => b.peer, cell: (b) => <span className="kw-num">{b.peer}</span> },
      { id: "detection", header: t("ha.detection"), width: "84px", right: true, phone: "side", sort: (b) => b.detection_seconds, cell: (b) => <span title={t("ha.detectionTitle")}>{figure(b.detection_seconds, "seconds")}</span> },
    ],
    [t],
  );
  return (
    <DataTable
      label={t("ha.bfd")}
      rows={sessions}
      columns={columns}
      order="state"
      rowKey={(b) => `${b.cluster}/${b.host}/${b.session}/${b.peer}`}
      stale={(b) => isOld(b.time, now)}
      empty={<Empty>{t("ha.noBfd")}</Empty>}
    />
  );
}

function How({ session }: { session: Bfd }) {
  const { t } = useTranslation();
  if (session.state !== "unknown") return <UpDown up={session.state === "up"} />;
  return <span className="kw-line"><Mark look={{ icon: UnknownIcon, tone: "unknown" }} word={t("instance.unknown")} /><OldMark time={session.time} /></span>;
}
