// The table of events, wherever something is told to have happened.
import { useMemo, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { Event } from "../api/types";
import { DataTable, type Column } from "../kit/DataTable";
import { At } from "../kit/time";
import { hostPath } from "../kit/path";

type Props = { events: Event[]; label: string; empty: ReactNode; withHost?: boolean; withKind?: boolean; main?: boolean; epoch?: string };

const known = new Set([
  "vrrp_transition", "vip_taken", "vip_released", "vip_conflict", "vip_conflict_ended", "server_up", "server_down", "proxy_started", "proxy_stopped",
  "track_changed", "config_reloaded", "host_joined", "host_lost", "host_forgotten", "aggregator_lost",
  "host_conflict", "metric_retyped", "collector_dropped", "check_down", "check_up",
  "ganglia_source_lost", "ganglia_source_found", "clock_skew",
]);

// useKindWord is the word for a kind of event; kinds of other sources are shown as they are called.
export function useKindWord(): (kind: string) => string {
  const { t } = useTranslation();
  return (kind) => (known.has(kind) ? t(`event.${kind}`) : kind);
}

export function EventTable({ events, label, empty, withHost = true, withKind = true, main, epoch }: Props) {
  const { t } = useTranslation();
  const word = useKindWord();
  const columns = useMemo((): Column<Event>[] => {
    const host: Column<Event> = {
      id: "host", header: t("column.host"), width: "minmax(64px, 0.4fr)", phone: "title", sort: (e) => e.host,
      cell: (e) => <Link to={hostPath(e.cluster, e.host)} title={`${e.cluster}/${e.host}`}>{e.host}</Link>,
    };
    const kind: Column<Event> = { id: "kind", header: t("column.kind"), width: "minmax(84px, 0.45fr)", phone: "title", sort: (e) => e.kind, cell: (e) => <span className="kw-dim">{word(e.kind)}</span> };
    return [
      { id: "time", header: t("column.time"), width: "86px", phone: "side", sort: (e) => Date.parse(e.time), cell: (e) => <At time={e.time} /> },
      ...(withHost ? [host] : []),
      ...(withKind ? [kind] : []),
      { id: "text", header: t("column.text"), width: "minmax(140px, 2fr)", wrap: true, phone: "meta", cell: (e) => e.text },
    ];
  }, [t, withHost, withKind]);
  return (
    <DataTable
      label={label}
      rows={events}
      columns={columns}
      order="-time"
      rowKey={(e) => `${e.cluster}/${e.host}/${e.id}`}
      empty={empty}
      main={main}
      epoch={epoch}
    />
  );
}
