// The table of alerts, as it stands on the overview, in the list, and on a host's page.
import { Button } from "@mantine/core";
import { useMemo, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { Alert } from "../api/types";
import { useMay } from "../app/session";
import { figure } from "../charts/units";
import { DataTable, type Column } from "../kit/DataTable";
import { AcknowledgedMark, severity, StateMark } from "../kit/state";
import { Lasting } from "../kit/time";
import { labelText } from "../kit/labels";
import { useAcknowledging } from "./Acknowledge";
import { hostPath } from "../kit/path";

export const alertPath = (alert: Pick<Alert, "id">) => `/alerts/${alert.id}`;

type Props = {
  label: string;
  alerts: Alert[];
  empty: ReactNode;
  main?: boolean;
  order?: string;
  epoch?: string;
  withHost?: boolean;
};

export function AlertTable({ label, alerts, empty, main, order, epoch, withHost = true }: Props) {
  const operator = useMay("operator");
  const { open, dialog } = useAcknowledging();
  const columns = useAlertColumns(withHost, operator ? open : null);
  return (
    <>
      <DataTable
        label={label}
        rows={alerts}
        columns={columns}
        rowKey={(alert) => String(alert.id)}
        to={alertPath}
        keys={operator ? { a: open } : undefined}
        empty={empty}
        main={main}
        order={order}
        epoch={epoch}
      />
      {dialog}
    </>
  );
}

function useAlertColumns(withHost: boolean, acknowledge: ((alert: Alert) => void) | null): Column<Alert>[] {
  const { t } = useTranslation();
  return useMemo(() => {
    const host: Column<Alert> = {
      id: "host", header: t("column.host"), width: "minmax(90px, 1fr)", phone: "title",
      sort: (a) => a.host,
      cell: (a) => <Link to={hostPath(a.cluster, a.host)} title={`${a.cluster}/${a.host}`}>{a.host}</Link>,
    };
    return [
      {
        id: "state", header: t("column.state"), width: "108px", phone: "lead",
        sort: (a) => severity[a.state], cell: (a) => <StateMark state={a.state} strong={a.acknowledged_by === null} />,
      },
      ...(withHost ? [host] : []),
      {
        id: "problem", header: t("column.problem"), width: "minmax(140px, 2.4fr)", phone: withHost ? "meta" : "title",
        sort: (a) => a.rule_name,
        cell: (a) => <><Link to={alertPath(a)}>{a.rule_name}</Link> <span className="kw-dim">{labelText(a.labels)}</span></>,
      },
      {
        id: "value", header: t("column.value"), width: "96px", right: true, phone: "meta",
        sort: (a) => a.value, cell: (a) => <span className="kw-num">{figure(a.value, a.unit)}</span>,
      },
      {
        id: "since", header: t("column.since"), width: "104px", right: true, phone: "side",
        sort: (a) => -Date.parse(a.since), cell: (a) => <Lasting since={a.since} />,
      },
      {
        id: "owner", header: t("column.owner"), width: "minmax(130px, 1.2fr)", phone: "meta",
        sort: (a) => a.acknowledged_by,
        cell: (a) => <Owner alert={a} acknowledge={acknowledge} />,
      },
    ];
  }, [t, withHost, acknowledge]);
}

function Owner({ alert, acknowledge }: { alert: Alert; acknowledge: ((alert: Alert) => void) | null }) {
  const { t } = useTranslation();
  if (alert.acknowledged_by !== null) {
    return <span title={alert.ack_comment}><AcknowledgedMark by={alert.acknowledged_by} /></span>;
  }
  if (alert.state === "ok") return null;
  if (!acknowledge) return <span className="kw-dim">{t("alert.nobody")}</span>;
  return <Button size="compact-sm" variant="default" onClick={() => acknowledge(alert)}>{t("action.acknowledge")}</Button>;
}
