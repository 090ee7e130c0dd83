import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { useNow } from "../api/clock";
import type { Instance, InstanceState } from "../api/types";
import { DataTable, type Column } from "../kit/DataTable";
import { DownIcon, OffIcon, StandbyIcon } from "../kit/icons";
import { Empty } from "../kit/Page";
import { InstanceMark, Mark } from "../kit/state";
import { Lasting } from "../kit/time";
import { HostLink } from "./HostLink";
import { isOld, OldMark } from "./OldMark";
import { Snippet } from "./Snippet";

// What wants a look first.
const rank: Record<InstanceState, number> = { fault: 0, unknown: 1, init: 2, master: 3, backup: 4 };

// The hosts of one virtual router stand together, its master or its trouble first.
const byInstance = (i: Instance) => `${i.cluster} ${i.instance} ${rank[i.state]} ${i.host}`;

const familyWord = (family: string) => family.replace("ip", "IP");

// InstanceTable says of each virtual router what it is on each host, since when, and why.
export function InstanceTable({ instances }: { instances: Instance[] }) {
  const { t } = useTranslation();
  const now = useNow(5);
  const columns = useColumns();
  const sorted = useMemo(() => instances.toSorted((a, b) => byInstance(a).localeCompare(byInstance(b))), [instances]);
  return (
    <DataTable
      label={t("ha.instances")}
      rows={sorted}
      columns={columns}
      rowKey={(i) => `${i.cluster}/${i.host}/${i.instance}`}
      stale={(i) => isOld(i.time, now)}
      empty={<Empty action={<Snippet of="agent" />}>{t("ha.noInstances")}</Empty>}
    />
  );
}

function useColumns(): Column<Instance>[] {
  const { t } = useTranslation();
  return useMemo(
    () => [
      { id: "state", header: t("column.state"), width: "minmax(124px, 0.9fr)", phone: "lead", sort: (i) => rank[i.state], cell: (i) => <How instance={i} /> },
      { id: "host", header: t("column.host"), width: "minmax(80px, 0.8fr)", phone: "title", sort: (i) => i.host, cell: (i) => <HostLink cluster={i.cluster} host={i.host} /> },
      { id: "instance", header: t("ha.instance"), width: "minmax(60px, 0.8fr)", phone: "title", sort: byInstance, cell: (i) => <Name instance={i} /> },
      { id: "where", header: t("ha.where"), width: "minmax(150px, 1fr)", wrap: true, phone: "meta", sort: (i) => `${i.interface} ${i.vrid}`, cell: (i) => <Where instance={i} /> },
      { id: "vips", header: t("ha.vips"), width: "minmax(110px, 1fr)", phone: "hide", wrap: true, cell: (i) => <span className="kw-num">{i.vips.join(", ")}</span> },
      { id: "since", header: t("column.for"), width: "72px", right: true, phone: "side", sort: (i) => (i.since === null ? null : -Date.parse(i.since)), cell: (i) => <Lasting since={i.since} /> },
      { id: "priority", header: t("ha.priority"), width: "minmax(84px, 0.7fr)", right: true, wrap: true, phone: "meta", sort: (i) => i.priority, cell: (i) => <Priority instance={i} /> },
      { id: "reason", header: t("ha.reason"), width: "minmax(140px, 2.2fr)", wrap: true, phone: "meta", cell: (i) => i.last_reason },
    ],
    [t],
  );
}

function Name({ instance }: { instance: Instance }) {
  const { t } = useTranslation();
  return <>{instance.instance}{instance.group !== "" && <span className="kw-dim" title={t("ha.group")}> · {instance.group}</span>}</>;
}

function Where({ instance }: { instance: Instance }) {
  const { version } = instance;
  return <span className="kw-dim">{instance.interface} · VRID {instance.vrid} · {version > 0 && `v${version} `}{familyWord(instance.family)}</span>;
}

// How is the state; of an agent that is down, or whose word is old, that comes before what it said last.
function How({ instance }: { instance: Instance }) {
  const { t } = useTranslation();
  if (!instance.agent_up) return <Mark look={{ icon: DownIcon, tone: "critical" }} word={t("ha.agentDown")} strong />;
  return (
    <span className="kw-line">
      <InstanceMark state={instance.state} />
      {instance.leaving && <Mark look={{ icon: StandbyIcon, tone: "quiet" }} word={t("ha.handsOver")} />}
      {instance.paused === "drained" && <Mark look={{ icon: OffIcon, tone: "quiet" }} word={t("ha.drained")} />}
      {instance.paused === "switched over" && <Mark look={{ icon: OffIcon, tone: "quiet" }} word={t("ha.switchedOver")} />}
      <OldMark time={instance.time} />
    </span>
  );
}

// Tracks are what moves the priority, or forces the fault.
function Tracks({ instance }: { instance: Instance }) {
  const { t } = useTranslation();
  return instance.moved.map((m) => (
    <span key={m.track} className="kw-moved" data-tone={m.fault ? "critical" : undefined}>
      {m.track}{" "}{m.fault ? t("ha.fault") : signed(m.effect)}
    </span>
  ));
}

const signed = (n: number) => (n < 0 ? `−${-n}` : `+${n}`);

// Priority is the effective one, the configured one where tracks have moved it, and these tracks.
function Priority({ instance }: { instance: Instance }) {
  const { t } = useTranslation();
  const { priority, priority_configured: configured } = instance;
  if (priority === null) return <span className="kw-dim">–</span>;
  const same = configured === null || configured === priority;
  return (
    <span className="kw-num" title={same ? t("ha.priorityTitle") : t("ha.moved", { configured })}>
      <span className="kw-word">{t("ha.priority")} </span>
      {same ? priority : <><strong data-tone={priority < configured ? "warning" : undefined}>{priority}</strong> <span className="kw-dim">/ {configured}</span></>}
      <Tracks instance={instance} />
    </span>
  );
}
