import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import type { AlertEvent } from "../api/types";
import { figure } from "../charts/units";
import { DataTable, type Column } from "../kit/DataTable";
import { Empty } from "../kit/Page";
import { StateMark } from "../kit/state";
import { At } from "../kit/time";

export function HistoryTable({ events, unit }: { events: AlertEvent[]; unit: string }) {
  const { t } = useTranslation();
  const columns = useMemo(
    (): Column<AlertEvent>[] => [
      { id: "time", header: t("column.time"), width: "104px", phone: "side", sort: (e) => Date.parse(e.time), cell: (e) => <At time={e.time} /> },
      {
        id: "change", header: t("column.change"), width: "108px", phone: "lead",
        cell: (e) => (e.from === e.to ? null : <StateMark state={e.to} />),
      },
      { id: "value", header: t("column.value"), width: "80px", right: true, phone: "title", cell: (e) => (e.value === null ? "" : figure(e.value, unit)) },
      { id: "text", header: t("column.text"), width: "minmax(120px, 1fr)", wrap: true, phone: "meta", cell: (e) => e.text },
      { id: "actor", header: t("column.by"), width: "90px", phone: "meta", cell: (e) => e.actor },
    ],
    [t, unit],
  );
  return (
    <DataTable
      label={t("alert.history")}
      rows={events}
      columns={columns}
      order="-time"
      rowKey={(e) => String(e.id)}
      empty={<Empty>{t("alert.noHistory")}</Empty>}
    />
  );
}
