import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { useNow } from "../api/clock";
import type { Group, Instance } from "../api/types";
import { DataTable, type Column } from "../kit/DataTable";
import { Empty } from "../kit/Page";
import { InstanceMark } from "../kit/state";
import { HostLink } from "./HostLink";
import { isOld, OldMark } from "./OldMark";

type Props = { groups: Group[]; instances: Instance[] };

// GroupTable says of each sync group what it is on each host, and which virtual routers it holds together.
export function GroupTable({ groups, instances }: Props) {
  const { t } = useTranslation();
  const now = useNow(5);
  const columns = useMemo((): Column<Group>[] => {
    const members = (g: Group) => instances.filter((i) => i.group === g.group && i.host === g.host && i.cluster === g.cluster).map((i) => i.instance);
    return [
      { id: "state", header: t("column.state"), width: "minmax(100px, 0.7fr)", phone: "lead", sort: (g) => g.state, cell: (g) => <span className="kw-line"><InstanceMark state={g.state} /><OldMark time={g.time} /></span> },
      { id: "group", header: t("ha.group"), width: "minmax(70px, 1fr)", phone: "title", sort: (g) => g.group, cell: (g) => <strong>{g.group}</strong> },
      { id: "host", header: t("column.host"), width: "minmax(70px, 1fr)", phone: "title", sort: (g) => g.host, cell: (g) => <HostLink cluster={g.cluster} host={g.host} /> },
      { id: "members", header: t("ha.members"), width: "minmax(90px, 1.4fr)", wrap: true, phone: "meta", cell: (g) => members(g).join(", ") },
    ];
  }, [t, instances]);
  return (
    <DataTable
      label={t("ha.groups")}
      rows={groups}
      columns={columns}
      order="group"
      rowKey={(g) => `${g.cluster}/${g.host}/${g.group}`}
      stale={(g) => isOld(g.time, now)}
      empty={<Empty>{t("ha.noGroups")}</Empty>}
    />
  );
}
