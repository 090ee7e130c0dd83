import { Button, PasswordInput, Select, Switch, TextInput } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { UserInput } from "../api/queries";
import type { Role } from "../api/types";
import type { Form } from "../kit/form";
import { longest, makePassword } from "./passwords";

const roles: Role[] = ["viewer", "operator", "admin"];

type Props = { form: Form<UserInput>; isNew: boolean; own: boolean };

export function UserFields({ form, isNew, own }: Props) {
  const { t } = useTranslation();
  const { values } = form;
  return (
    <div className="kw-fields">
      {isNew && (
        <TextInput
          label={t("users.name")}
          description={t("users.nameHelp")}
          value={values.name}
          onChange={(e) => form.set("name", e.currentTarget.value)}
          onBlur={() => form.touch("name")}
          error={form.error("name")}
          maxLength={64}
          autoFocus
          autoComplete="off"
          autoCapitalize="off"
          spellCheck={false}
        />
      )}
      <TextInput
        label={t("users.fullName")}
        value={values.full_name}
        onChange={(e) => form.set("full_name", e.currentTarget.value)}
        error={form.error("full_name")}
        maxLength={200}
        autoComplete="off"
      />
      <Select
        label={t("users.role")}
        description={t(`role.${values.role}_text`)}
        value={values.role}
        onChange={(role) => role && form.set("role", role as Role)}
        data={roles.map((value) => ({ value, label: t(`role.${value}`) }))}
        error={form.error("role")}
        disabled={own}
      />
      {own ? <p className="kw-small kw-dim">{t("users.own")} <Link to="/profile">{t("nav.profile")}</Link></p> : <Password form={form} isNew={isNew} />}
      {!isNew && !own && (
        <Switch
          label={t("users.disable")}
          description={t("users.disableHelp")}
          checked={values.disabled}
          onChange={(e) => form.set("disabled", e.currentTarget.checked)}
          error={form.error("disabled")}
        />
      )}
    </div>
  );
}

// Password is typed or made up; one that was made up is shown, because it is to be handed over.
function Password({ form, isNew }: { form: Form<UserInput>; isNew: boolean }) {
  const { t } = useTranslation();
  const [visible, setVisible] = useState(false);
  const make = () => {
    form.set("password", makePassword());
    setVisible(true);
  };
  return (
    <div className="kw-password">
      <PasswordInput
        label={isNew ? t("users.password") : t("users.newPassword")}
        description={isNew ? t("users.passwordHelp") : t("users.resetHelp")}
        value={form.values.password}
        onChange={(e) => form.set("password", e.currentTarget.value)}
        onBlur={() => form.touch("password")}
        error={form.error("password")}
        visible={visible}
        onVisibilityChange={setVisible}
        visibilityToggleButtonProps={{ "aria-label": t("signIn.reveal") }}
        maxLength={longest}
        autoComplete="new-password"
      />
      <Button size="compact-sm" variant="default" onClick={make}>{t("users.makePassword")}</Button>
    </div>
  );
}
