// One user: made, changed, disabled, given a new password, removed.
import "./people.css";
import { Button } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useNavigate, useParams } from "react-router";
import { useDeleteUser, useSaveUser, useUsers, type UserInput } from "../api/queries";
import type { User } from "../api/types";
import { useMe } from "../app/session";
import { Confirm } from "../kit/Confirm";
import { unplaced, useForm, type Errors } from "../kit/form";
import { PeopleIcon } from "../kit/icons";
import { Empty, Loaded, Page, Trouble } from "../kit/Page";
import { Ago, At } from "../kit/time";
import { toast } from "../kit/toast";
import { AdminOnly } from "./AdminOnly";
import { shortest } from "./passwords";
import { fresh, inputOf, mistakes } from "./user";
import { UserFields } from "./UserFields";

export function UserPage() {
  const { id } = useParams();
  const { t } = useTranslation();
  return (
    <AdminOnly name={t("users.one")}>
      {id === undefined ? <Page title={t("users.new")} name={t("users.new")}><Editor initial={fresh} /></Page> : <Existing id={Number(id)} />}
    </AdminOnly>
  );
}

function Existing({ id }: { id: number }) {
  const { t } = useTranslation();
  const users = useUsers();
  const found = users.data?.items.find((user) => user.id === id);
  return (
    <Page title={found?.name ?? t("users.one")} name={found?.name ?? t("users.one")} side={found && <Seen user={found} />}>
      <Loaded query={users}>{() => (found ? <Editor key={id} user={found} initial={inputOf(found)} /> : <Gone />)}</Loaded>
    </Page>
  );
}

function Gone() {
  const { t } = useTranslation();
  return <Empty icon={<PeopleIcon />} action={<Button component={Link} to="/users" variant="default">{t("users.toAll")}</Button>}>{t("users.gone")}</Empty>;
}

function Seen({ user }: { user: User }) {
  const { t } = useTranslation();
  return (
    <span className="kw-line kw-dim kw-small">
      <span>{t("users.lastLogin")} <Ago at={user.last_login} /></span>
      <span>{t("users.created")} <At time={user.created_at} /></span>
    </span>
  );
}

function Editor({ user, initial }: { user?: User; initial: UserInput }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const own = useMe().name === user?.name;
  const save = useSaveUser();
  const check = (input: UserInput) =>
    Object.fromEntries(Object.entries(mistakes(input, user === undefined)).map(([name, key]) => [name, t(key, { n: shortest })])) as Errors<UserInput>;
  const form = useForm(initial, check, save.error);
  const submit = () => {
    form.showAll();
    if (!form.valid) return;
    save.mutate(
      { id: user?.id, input: form.values },
      {
        onSuccess: (saved) => {
          toast({ text: t(user ? "form.saved" : "users.createdDone", { name: saved.name }) });
          void navigate("/users");
        },
      },
    );
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <UserFields form={form} isNew={user === undefined} own={own} />
      <div className="kw-fields-wide">
        {save.error && unplaced(save.error, Object.keys(form.values)) !== null && <Trouble error={save.error} />}
        <div className="kw-form-actions">
          <Button type="submit" loading={save.isPending}>{user ? t("action.save") : t("users.create")}</Button>
          <Button variant="default" onClick={() => void navigate("/users")}>{t("action.cancel")}</Button>
          {user && !own && <Delete user={user} />}
        </div>
      </div>
    </form>
  );
}

function Delete({ user }: { user: User }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [asking, setAsking] = useState(false);
  const remove = useDeleteUser();
  const confirm = () =>
    remove.mutate(user.id, {
      onSuccess: () => {
        toast({ text: t("form.deleted", { name: user.name }) });
        void navigate("/users");
      },
    });
  return (
    <>
      <Button className="kw-delete" variant="default" onClick={() => setAsking(true)}>{t("action.delete")}</Button>
      {asking && (
        <Confirm title={t("users.deleteTitle", { name: user.name })} action={t("action.delete")} busy={remove.isPending} error={remove.error && <Trouble error={remove.error} />} onConfirm={confirm} onClose={() => setAsking(false)}>
          {t("users.deleteText", { name: user.full_name || user.name })}
        </Confirm>
      )}
    </>
  );
}
