import { Select, Switch, TextInput } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { ContactInput } from "../api/types";
import type { Form } from "../kit/form";

export function ContactFields({ form, readOnly }: { form: Form<ContactInput>; readOnly: boolean }) {
  const { t } = useTranslation();
  const text = (name: "name" | "email" | "phone") => ({
    value: form.values[name],
    onChange: (event: React.ChangeEvent<HTMLInputElement>) => form.set(name, event.currentTarget.value),
    onBlur: () => form.touch(name),
    error: form.error(name),
    autoComplete: "off",
  });
  return (
    <fieldset className="kw-fields" disabled={readOnly}>
      <TextInput label={t("contacts.name")} {...text("name")} />
      <TextInput label={t("contacts.email")} description={t("contacts.emailHelp")} type="email" inputMode="email" placeholder="noc@example.org" {...text("email")} />
      <TextInput label={t("contacts.phone")} description={t("contacts.phoneHelp")} type="tel" inputMode="tel" placeholder="+8613812345678" {...text("phone")} />
      <div className="kw-pair">
        <Select
          label={t("contacts.smsFrom")}
          data={[{ value: "critical", label: t("contacts.smsCritical") }, { value: "warning", label: t("contacts.smsWarning") }]}
          value={form.values.sms_from}
          onChange={(value) => form.set("sms_from", value as ContactInput["sms_from"])}
        />
        <Select
          label={t("contacts.messageLanguage")}
          data={[{ value: "en", label: "English" }, { value: "zh", label: "中文" }]}
          value={form.values.language}
          onChange={(value) => form.set("language", value as ContactInput["language"])}
        />
      </div>
      <Switch label={t("contacts.enabled")} checked={form.values.enabled} onChange={(e) => form.set("enabled", e.currentTarget.checked)} />
    </fieldset>
  );
}
