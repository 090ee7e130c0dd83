import { useMemo, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { Vip } from "../api/types";
import { DataTable, type Column } from "../kit/DataTable";
import { VipMark } from "../kit/state";
import { Lasting } from "../kit/time";
import { hostPath } from "../kit/path";

const rank = { conflict: 0, nobody: 1, held: 2 };

// VipTable says of each virtual address who holds it.
export function VipTable({ vips, empty }: { vips: Vip[]; empty: ReactNode }) {
  const { t } = useTranslation();
  const columns = useMemo(
    (): Column<Vip>[] => [
      { id: "state", header: t("column.state"), width: "92px", phone: "lead", sort: (v) => rank[v.state], cell: (v) => <VipMark state={v.state} /> },
      { id: "vip", header: t("ha.vip"), width: "minmax(104px, 1.2fr)", phone: "title", sort: (v) => v.vip, cell: (v) => <strong className="kw-num">{v.vip}</strong> },
      { id: "holder", header: t("ha.holder"), width: "minmax(70px, 1.2fr)", phone: "meta", cell: (v) => <Holders vip={v} /> },
      { id: "since", header: t("column.for"), width: "76px", right: true, phone: "side", cell: (v) => <Lasting since={v.holders[0]?.since} /> },
      { id: "instance", header: t("ha.instance"), width: "minmax(60px, 1fr)", phone: "meta", sort: (v) => v.instance, cell: (v) => <span className="kw-dim">{v.instance} · {v.interface}</span> },
    ],
    [t],
  );
  return (
    <DataTable label={t("overview.vips")} rows={vips} columns={columns} order="state" rowKey={(v) => `${v.cluster}/${v.instance}/${v.vip}`} empty={empty} />
  );
}

function Holders({ vip }: { vip: Vip }) {
  const { t } = useTranslation();
  if (vip.holders.length === 0) return <span data-tone="critical">{t("ha.nobody")}</span>;
  return (
    <>
      {vip.holders.map((holder, i) => (
        <span key={holder.host}>
          {i > 0 && ", "}
          <Link to={hostPath(vip.cluster, holder.host)} data-tone={vip.state === "conflict" ? "critical" : undefined}>{holder.host}</Link>
        </span>
      ))}
      {vip.holders.length === 1 && vip.seen_by.length > 0 && (
        <span data-tone="critical" title={t("ha.seenBy", { hosts: vip.seen_by.join(", ") })}>, {t("ha.anotherHost")}</span>
      )}
    </>
  );
}
