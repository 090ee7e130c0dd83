// Messages that were sent, or were not, and why.
import { useMemo, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { Notification } from "../api/types";
import { DataTable, type Column } from "../kit/DataTable";
import { CriticalIcon, OkIcon, StaleIcon } from "../kit/icons";
import { Mark } from "../kit/state";
import { At } from "../kit/time";

const looks = {
  queued: { icon: StaleIcon, tone: "quiet" },
  sending: { icon: StaleIcon, tone: "quiet" },
  sent: { icon: OkIcon, tone: "ok" },
  failed: { icon: CriticalIcon, tone: "critical" },
} as const;

export function MessageMark({ status }: { status: Notification["status"] }) {
  const { t } = useTranslation();
  return <Mark look={looks[status]} word={t(`message.${status}`)} />;
}

export function MessageTable({ messages, empty }: { messages: Notification[]; empty: ReactNode }) {
  const { t } = useTranslation();
  const columns = useMemo(
    (): Column<Notification>[] => [
      { id: "time", header: t("column.time"), width: "92px", phone: "side", sort: (n) => Date.parse(n.created_at), cell: (n) => <At time={n.created_at} /> },
      { id: "status", header: t("message.outcome"), width: "92px", phone: "lead", sort: (n) => n.status, cell: (n) => <MessageMark status={n.status} /> },
      { id: "who", header: t("message.to"), width: "minmax(100px, 1fr)", phone: "title", sort: (n) => n.contact_name, cell: (n) => <span title={n.recipient}>{n.contact_name || n.recipient}</span> },
      { id: "how", header: t("message.how"), width: "minmax(124px, 0.7fr)", phone: "meta", cell: (n) => `${t(`channel.${n.channel}`)} · ${t(`message.${n.kind}`)}` },
      {
        id: "text", header: t("column.text"), width: "minmax(120px, 2fr)", wrap: true, phone: "meta",
        cell: (n) => (n.last_error && n.status !== "sent" ? <span data-tone="critical">{t("message.error", { n: n.tries, error: n.last_error })}</span> : n.subject || n.text),
      },
    ],
    [t],
  );
  return <DataTable label={t("alert.messages")} rows={messages} columns={columns} order="-time" rowKey={(n) => String(n.id)} empty={empty} />;
}
