// One's own account: what others read as one's name, the language, the password.
import { Button, PasswordInput, Select, TextInput } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useAbout, useSaveMe, useSavePassword } from "../api/queries";
import type { Language, Me } from "../api/types";
import { useMe } from "../app/session";
import { unplaced, useForm, type Errors } from "../kit/form";
import { Loaded, Page, Section, Trouble } from "../kit/Page";
import { At } from "../kit/time";
import { toast } from "../kit/toast";
import { longEnough, longest, shortest } from "./passwords";

export function ProfilePage() {
  const { t } = useTranslation();
  const me = useMe();
  const [round, setRound] = useState(0); // a password that was saved leaves empty fields
  return (
    <Page title={t("nav.profile")} name={t("nav.profile")}>
      <dl className="kw-facts">
        <dt>{t("users.name")}</dt>
        <dd>{me.name}</dd>
        <dt>{t("users.role")}</dt>
        <dd>{t(`role.${me.role}`)}</dd>
      </dl>
      <Section title={t("profile.account")}><Account key={me.name} me={me} /></Section>
      <Section title={t("profile.password")}><Password key={round} name={me.name} onSaved={() => setRound(round + 1)} /></Section>
      <Section title={t("profile.about")}><AboutServer /></Section>
    </Page>
  );
}

function Account({ me }: { me: Me }) {
  const { t } = useTranslation();
  const save = useSaveMe();
  const form = useForm({ full_name: me.full_name, language: me.language }, () => ({}), save.error);
  const languages: { value: Language; label: string }[] = [
    { value: "", label: t("profile.browser") },
    { value: "en", label: "English" },
    { value: "zh", label: "中文" },
  ];
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate(form.values, { onSuccess: () => toast({ text: t("profile.saved") }) });
      }}
    >
      <div className="kw-fields">
        <TextInput label={t("users.fullName")} description={t("profile.fullNameHelp")} value={form.values.full_name} onChange={(e) => form.set("full_name", e.currentTarget.value)} error={form.error("full_name")} maxLength={200} autoComplete="name" />
        <Select label={t("profile.language")} value={form.values.language} onChange={(value) => form.set("language", (value ?? "") as Language)} data={languages} error={form.error("language")} />
        {save.error && unplaced(save.error, Object.keys(form.values)) !== null && <Trouble error={save.error} />}
      </div>
      <div className="kw-form-actions"><Button type="submit" loading={save.isPending}>{t("action.save")}</Button></div>
    </form>
  );
}

type Passwords = { current: string; new: string; again: string };

const blank: Passwords = { current: "", new: "", again: "" };

function Password({ name, onSaved }: { name: string; onSaved: () => void }) {
  const { t } = useTranslation();
  const save = useSavePassword();
  const check = (typed: Passwords): Errors<Passwords> => ({
    current: typed.current === "" ? t("profile.noCurrent") : undefined,
    new: longEnough(typed.new) ? undefined : t("profile.short", { n: shortest }),
    again: typed.again === typed.new ? undefined : t("profile.differs"),
  });
  const form = useForm(blank, check, save.error);
  const submit = () => {
    form.showAll();
    if (!form.valid) return;
    save.mutate(
      { current: form.values.current, new: form.values.new },
      {
        onSuccess: () => {
          toast({ text: t("profile.passwordSaved") });
          onSaved();
        },
      },
    );
  };
  const field = (which: keyof Passwords) => ({
    value: form.values[which],
    onChange: (event: React.ChangeEvent<HTMLInputElement>) => form.set(which, event.currentTarget.value),
    onBlur: () => form.values[which] !== "" && form.touch(which),
    error: form.error(which),
    maxLength: longest,
    visibilityToggleButtonProps: { "aria-label": t("signIn.reveal") },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <div className="kw-fields">
        {/* Password managers want to know whose password this is. */}
        <input type="text" name="username" autoComplete="username" value={name} readOnly hidden />
        <PasswordInput label={t("profile.current")} autoComplete="current-password" {...field("current")} />
        <PasswordInput label={t("profile.new")} description={t("profile.newHelp")} autoComplete="new-password" {...field("new")} />
        <PasswordInput label={t("profile.again")} autoComplete="new-password" {...field("again")} />
        {save.error && unplaced(save.error, Object.keys(form.values)) !== null && <Trouble error={save.error} />}
      </div>
      <div className="kw-form-actions"><Button type="submit" loading={save.isPending}>{t("profile.change")}</Button></div>
    </form>
  );
}

function AboutServer() {
  const { t } = useTranslation();
  return (
    <Loaded query={useAbout()} rows={3}>
      {(about) => (
        <dl className="kw-facts">
          <dt>{t("profile.version")}</dt>
          <dd className="kw-num">{about.version}</dd>
          <dt>{t("column.cluster")}</dt>
          <dd>{about.cluster}</dd>
          <dt>{t("profile.started")}</dt>
          <dd><At time={about.started_at} /></dd>
          <dt>{t("profile.schema")}</dt>
          <dd className="kw-num">{about.schema_version}</dd>
        </dl>
      )}
    </Loaded>
  );
}
