import { Button, SegmentedControl } from "@mantine/core";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { useChannels, useContacts, useNotifications } from "../api/queries";
import type { Channels, Contact } from "../api/types";
import { useMay } from "../app/session";
import { useParam } from "../kit/address";
import { DataTable, type Column } from "../kit/DataTable";
import { ContactsIcon, WarningIcon } from "../kit/icons";
import { Empty, Loaded, Page } from "../kit/Page";
import { EnabledMark } from "../kit/state";
import { MessageTable } from "./MessageTable";

const pathOf = (contact: Contact) => `/contacts/${contact.id}`;

export function ContactsPage() {
  const { t } = useTranslation();
  const operator = useMay("operator");
  const [tab, setTab] = useParam("tab", "people");
  const channels = useChannels().data;
  return (
    <Page
      title={t("nav.contacts")}
      name={t("nav.contacts")}
      side={
        <>
          <SegmentedControl size="xs" value={tab} onChange={setTab} data={[{ value: "people", label: t("contacts.people") }, { value: "messages", label: t("contacts.messages") }]} />
          {operator && <Button component={Link} to="/contacts/new">{t("contacts.add")}</Button>}
        </>
      }
    >
      {channels && <Unconfigured channels={channels} />}
      {tab === "messages" ? <Messages /> : <People />}
    </Page>
  );
}

// Unconfigured says which way of telling people does not work, and why.
function Unconfigured({ channels }: { channels: Channels }) {
  const { t } = useTranslation();
  const missing = (["mail", "sms"] as const).filter((channel) => !channels[channel].configured);
  return missing.map((channel) => (
    <p key={channel} className="kw-channel">
      <WarningIcon /> <span>{t("contacts.unconfigured", { channel: t(`channel.${channel}`) })} {channels[channel].why}</span>
    </p>
  ));
}

function People() {
  const { t } = useTranslation();
  const operator = useMay("operator");
  const contacts = useContacts();
  const columns = useMemo(
    (): Column<Contact>[] => [
      { id: "enabled", header: t("column.state"), width: "88px", phone: "lead", sort: (c) => Number(!c.enabled), cell: (c) => <EnabledMark enabled={c.enabled} /> },
      { id: "name", header: t("contacts.name"), width: "minmax(100px, 1fr)", phone: "title", sort: (c) => c.name, cell: (c) => <Link to={pathOf(c)}>{c.name}</Link> },
      { id: "email", header: t("channel.mail"), width: "minmax(140px, 1.4fr)", phone: "meta", sort: (c) => c.email, cell: (c) => c.email || <span className="kw-dim">–</span> },
      { id: "phone", header: t("channel.sms"), width: "minmax(120px, 1fr)", phone: "meta", sort: (c) => c.phone, cell: (c) => <span className="kw-num">{c.phone || <span className="kw-dim">–</span>}</span> },
      { id: "from", header: t("contacts.smsFrom"), width: "110px", phone: "hide", cell: (c) => (c.phone === "" ? <span className="kw-dim">–</span> : t(`state.${c.sms_from}`)) },
      { id: "language", header: t("contacts.language"), width: "84px", phone: "hide", cell: (c) => (c.language === "zh" ? "中文" : "English") },
      { id: "used", header: t("nav.thresholds"), width: "84px", right: true, phone: "side", sort: (c) => c.thresholds, cell: (c) => c.thresholds },
    ],
    [t],
  );
  return (
    <Loaded query={contacts}>
      {({ items }) => (
        <DataTable
          label={t("nav.contacts")}
          rows={items}
          columns={columns}
          rowKey={(contact) => String(contact.id)}
          to={pathOf}
          main
          order="name"
          empty={<Empty icon={<ContactsIcon />} action={operator && <Button component={Link} to="/contacts/new">{t("contacts.add")}</Button>}>{t("contacts.none")}</Empty>}
        />
      )}
    </Loaded>
  );
}

const statuses = ["", "queued", "sent", "failed"];

function Messages() {
  const { t } = useTranslation();
  const [status, setStatus] = useParam("status");
  const messages = useNotifications({ limit: 500, status });
  return (
    <>
      <div className="kw-tokens kw-statuses">
        {statuses.map((name) => (
          <button type="button" key={name} aria-pressed={status === name} onClick={() => setStatus(name)}>{name === "" ? t("alerts.all") : t(`message.${name}`)}</button>
        ))}
      </div>
      <Loaded query={messages}>{({ items }) => <MessageTable messages={items} empty={<Empty icon={<ContactsIcon />}>{t("contacts.noMessages")}</Empty>} />}</Loaded>
    </>
  );
}
