// Who may sign in, and what they may do.
import { Button } from "@mantine/core";
import { useDeferredValue, useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { useUsers } from "../api/queries";
import type { Role, User } from "../api/types";
import { useMe } from "../app/session";
import { useParam } from "../kit/address";
import { DataTable, type Column } from "../kit/DataTable";
import { FilterBox } from "../kit/FilterBox";
import { PeopleIcon } from "../kit/icons";
import { Empty, Loaded, Page } from "../kit/Page";
import { Ago, At } from "../kit/time";
import { parseFilter, type Field } from "../kit/tokens";
import { AdminOnly } from "./AdminOnly";
import { AccountMark } from "./AccountMark";

const fields: Field<User>[] = [
  { name: "name", kind: "text", of: (u) => [u.name, u.full_name] },
  { name: "role", kind: "text", of: (u) => u.role },
  { name: "state", kind: "text", of: (u) => (u.disabled ? "disabled" : "active") },
];

const words = (u: User) => `${u.name} ${u.full_name}`;
const rank: Record<Role, number> = { admin: 0, operator: 1, viewer: 2 };
const userPath = (user: User) => `/users/${user.id}`;

export function UsersPage() {
  const { t } = useTranslation();
  return <AdminOnly name={t("nav.users")}><Users /></AdminOnly>;
}

function Users() {
  const { t } = useTranslation();
  const users = useUsers();
  const [text, setText] = useParam("q");
  const wanted = useDeferredValue(text);
  const filter = useMemo(() => parseFilter(wanted, fields, words), [wanted]);
  const columns = useUserColumns();
  const add = <Button component={Link} to="/users/new" variant="default">{t("users.add")}</Button>;
  return (
    <Page title={t("nav.users")} name={t("nav.users")} side={add}>
      <FilterBox
        value={text}
        onChange={setText}
        filter={filter}
        label={t("users.filter")}
        known={fields.map((f) => f.name)}
        examples={["role:admin", "role:operator", "role:viewer", "state:disabled"]}
      />
      <Loaded query={users}>
        {({ items }) => (
          <DataTable
            label={t("nav.users")}
            rows={items.filter(filter.test)}
            columns={columns}
            rowKey={(user) => String(user.id)}
            to={userPath}
            order="name"
            main
            epoch={wanted}
            empty={<Empty icon={<PeopleIcon />} action={items.length > 0 ? null : add}>{items.length > 0 ? t("filter.nothing") : t("users.none")}</Empty>}
          />
        )}
      </Loaded>
    </Page>
  );
}

function useUserColumns(): Column<User>[] {
  const { t } = useTranslation();
  const me = useMe().name;
  return useMemo(
    () => [
      {
        id: "name", header: t("users.name"), width: "minmax(110px, 1fr)", phone: "title", sort: (u) => u.name,
        cell: (u) => <><Link to={userPath(u)}>{u.name}</Link>{u.name === me && <span className="kw-dim"> {t("users.you")}</span>}</>,
      },
      { id: "full_name", header: t("users.fullName"), width: "minmax(110px, 1.4fr)", phone: "meta", sort: (u) => u.full_name, cell: (u) => u.full_name },
      { id: "role", header: t("users.role"), width: "minmax(90px, 0.7fr)", phone: "meta", sort: (u) => rank[u.role], cell: (u) => t(`role.${u.role}`) },
      { id: "state", header: t("column.state"), width: "108px", phone: "side", sort: (u) => (u.disabled ? 1 : 0), cell: (u) => <AccountMark disabled={u.disabled} /> },
      { id: "last", header: t("users.lastLogin"), width: "minmax(112px, 0.8fr)", phone: "meta", sort: (u) => (u.last_login === null ? null : -Date.parse(u.last_login)), cell: (u) => <Ago at={u.last_login} /> },
      { id: "created", header: t("users.created"), width: "minmax(96px, 0.6fr)", phone: "hide", sort: (u) => Date.parse(u.created_at), cell: (u) => <At time={u.created_at} /> },
    ],
    [t, me],
  );
}
