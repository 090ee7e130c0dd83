// One's own account: what others read as one's name, the language, the password.
import { Button, PasswordInput, Select, TextInput } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { useSaveMe, useSavePassword } from "../api/queries";
import type { Language, Me } from "../api/types";
import { useMe } from "../app/session";
import { unplaced, useForm, type Errors } from "../kit/form";
import { Page, Section, Trouble } from "../kit/Page";
import { toast } from "../kit/toast";
import { longEnough, longest } from "./passwords";

export function ProfilePage() {
  const { t } = useTranslation();
  const me = useMe();
  return (
    <Page title={t("nav.profile")} name={t("nav.profile")}>
      <dl className="kw-facts">
        <dt>{t("people.name")}</dt>
        <dd>{me.name}</dd>
        <dt>{t("people.role")}</dt>
        <dd>{t(`role.${me.role}`)} <span className="kw-dim">{t(`role.${me.role}Help`)}</span></dd>
      </dl>
      <Section title={t("profile.account")}><Account key={me.name} me={me} /></Section>
      <Section title={t("people.password")}><Password name={me.name} /></Section>
    </Page>
  );
}

function Account({ me }: { me: Me }) {
  const { t } = useTranslation();
  const save = useSaveMe();
  const form = useForm({ full_name: me.full_name, language: me.language }, () => ({}), save.error);
  const languages: { value: Language; label: string }[] = [
    { value: "", label: t("profile.anyLanguage") },
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
        <TextInput label={t("people.fullName")} description={t("profile.fullNameHelp")} value={form.values.full_name} onChange={(e) => form.set("full_name", e.currentTarget.value)} error={form.error("full_name")} maxLength={200} autoComplete="name" />
        <Select label={t("profile.language")} value={form.values.language} onChange={(value) => form.set("language", (value ?? "") as Language)} data={languages} error={form.error("language")} />
        {save.error && unplaced(save.error, Object.keys(form.values)) !== null && <Trouble error={save.error} />}
      </div>
      <div className="kw-form-actions"><Button type="submit" loading={save.isPending}>{t("action.save")}</Button></div>
    </form>
  );
}

type Passwords = { current: string; new: string; again: string };

const blank: Passwords = { current: "", new: "", again: "" };

function Password({ name }: { name: string }) {
  const { t } = useTranslation();
  const save = useSavePassword();
  const check = (typed: Passwords): Errors<Passwords> => ({
    current: typed.current === "" ? t("profile.noCurrent") : undefined,
    new: longEnough(typed.new) ? undefined : t("people.shortPassword"),
    again: typed.again === typed.new ? undefined : t("profile.different"),
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
          form.reset();
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
        <PasswordInput label={t("people.newPassword")} description={t("profile.newHelp")} autoComplete="new-password" {...field("new")} />
        <PasswordInput label={t("profile.again")} autoComplete="new-password" {...field("again")} />
        {save.error && unplaced(save.error, Object.keys(form.values)) !== null && <Trouble error={save.error} />}
      </div>
      <div className="kw-form-actions"><Button type="submit" loading={save.isPending}>{t("profile.savePassword")}</Button></div>
    </form>
  );
}
