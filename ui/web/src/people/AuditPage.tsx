// Who changed what, who signed in, and who was refused, newest first.
import { useDeferredValue, useMemo } from "react";
import { useTranslation } from "react-i18next";
import { useAudit } from "../api/queries";
import type { AuditEntry } from "../api/types";
import { useParam } from "../kit/address";
import { DataTable, type Column } from "../kit/DataTable";
import { FilterBox } from "../kit/FilterBox";
import { AuditIcon } from "../kit/icons";
import { Empty, Loaded, Page } from "../kit/Page";
import { At } from "../kit/time";
import { parseFilter, type Field } from "../kit/tokens";
import { AdminOnly } from "./AdminOnly";
import { detailText } from "./details";

const fields: Field<AuditEntry>[] = [
  { name: "actor", kind: "text", of: (e) => e.actor },
  { name: "action", kind: "text", of: (e) => e.action },
  { name: "object", kind: "text", of: (e) => e.object },
];

const words = (e: AuditEntry) => `${e.actor} ${e.action} ${e.object} ${detailText(e.details)}`;
const most = 500; // as useAudit asks for

export function AuditPage() {
  const { t } = useTranslation();
  return <AdminOnly name={t("nav.audit")}><Audit /></AdminOnly>;
}

function Audit() {
  const { t } = useTranslation();
  const audit = useAudit();
  const [text, setText] = useParam("q");
  const wanted = useDeferredValue(text);
  const filter = useMemo(() => parseFilter(wanted, fields, words), [wanted]);
  const columns = useAuditColumns();
  return (
    <Page title={t("nav.audit")} name={t("nav.audit")}>
      <FilterBox
        value={text}
        onChange={setText}
        filter={filter}
        label={t("audit.filter")}
        known={fields.map((f) => f.name)}
        examples={["action:session.refuse", "action:session.*", "action:threshold.*", "action:contact.*", "action:user.*", "action:alert.*", "actor:"]}
      />
      <Loaded query={audit} rows={10}>
        {({ items }) => (
          <>
            {items.length >= most && <p className="kw-dim kw-small">{t("audit.most", { n: most })}</p>}
            <DataTable
              label={t("nav.audit")}
              rows={items.filter(filter.test)}
              columns={columns}
              rowKey={(entry) => String(entry.id)}
              order="-time"
              main
              epoch={wanted}
              empty={<Empty icon={<AuditIcon />}>{items.length > 0 ? t("filter.nothing") : t("audit.none")}</Empty>}
            />
          </>
        )}
      </Loaded>
    </Page>
  );
}

function useAuditColumns(): Column<AuditEntry>[] {
  const { t, i18n } = useTranslation();
  return useMemo(() => {
    // An action of a newer server than this page has no word yet: its own name says it.
    const word = (action: string) => {
      const key = `audit.${action.replace(".", "_")}`;
      return i18n.exists(key) ? t(key) : action;
    };
    return [
      { id: "time", header: t("column.time"), width: "92px", phone: "side", sort: (e) => Date.parse(e.time), cell: (e) => <At time={e.time} /> },
      { id: "actor", header: t("column.by"), width: "minmax(80px, 0.6fr)", phone: "title", sort: (e) => e.actor, cell: (e) => <strong>{e.actor}</strong> },
      {
        id: "action", header: t("audit.action"), width: "minmax(120px, 0.9fr)", phone: "meta", sort: (e) => e.action,
        cell: (e) => <span title={e.action} data-tone={e.action === "session.refuse" ? "warning" : undefined}>{word(e.action)}</span>,
      },
      { id: "object", header: t("audit.object"), width: "minmax(90px, 0.9fr)", phone: "meta", sort: (e) => e.object, cell: (e) => <span title={e.object}>{e.object}</span> },
      { id: "details", header: t("audit.details"), width: "minmax(140px, 2.4fr)", wrap: true, phone: "meta", cell: (e) => <span className="kw-dim">{detailText(e.details)}</span> },
    ];
  }, [t, i18n]);
}
