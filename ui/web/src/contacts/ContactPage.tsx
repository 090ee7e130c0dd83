import { Button } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate, useParams } from "react-router";
import { useContacts, useDeleteContact, useSaveContact } from "../api/queries";
import type { Contact, ContactInput } from "../api/types";
import { useMay } from "../app/session";
import { Confirm } from "../kit/Confirm";
import { unplaced, useForm } from "../kit/form";
import { Empty, Loaded, Page, Section, Trouble } from "../kit/Page";
import { toast } from "../kit/toast";
import { ContactFields } from "./ContactFields";
import { TestSend } from "./TestSend";

const fresh: ContactInput = { name: "", email: "", phone: "", language: "en", sms_from: "critical", enabled: true };

function inputOf({ name, email, phone, language, sms_from, enabled }: Contact): ContactInput {
  return { name, email, phone, language, sms_from, enabled };
}

export function ContactPage() {
  const { id } = useParams();
  const { t } = useTranslation();
  const contacts = useContacts();
  const contact = contacts.data?.items.find((c) => String(c.id) === id);
  if (id === undefined) return <Page title={t("contacts.new")} name={t("contacts.new")}><Editor initial={fresh} /></Page>;
  return (
    <Page title={contact?.name ?? t("contacts.one")} name={contact?.name ?? t("contacts.one")}>
      <Loaded query={contacts}>
        {() => (contact ? <Existing key={contact.id} contact={contact} /> : <Empty>{t("contacts.gone")}</Empty>)}
      </Loaded>
    </Page>
  );
}

function Existing({ contact }: { contact: Contact }) {
  const { t } = useTranslation();
  const operator = useMay("operator");
  return (
    <>
      <Editor contact={contact} initial={inputOf(contact)} />
      {operator && (
        <Section title={t("contacts.test")}>
          <TestSend contact={contact} />
        </Section>
      )}
    </>
  );
}

function mistakesOf(values: ContactInput, t: (key: string) => string) {
  return {
    name: values.name.trim() === "" ? t("form.needed") : undefined,
    email:
      values.email.trim() === "" && values.phone.trim() === "" ? t("contacts.needsOne")
      : values.email !== "" && !/^\S+@\S+$/.test(values.email.trim()) ? t("contacts.badEmail")
      : undefined,
    phone: values.phone !== "" && !/^\+[1-9][\d ]{5,18}$/.test(values.phone.trim()) ? t("contacts.badPhone") : undefined,
  };
}

function Editor({ contact, initial }: { contact?: Contact; initial: ContactInput }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const operator = useMay("operator");
  const save = useSaveContact();
  const form = useForm(initial, (values) => mistakesOf(values, t), save.error);
  const submit = () => {
    form.showAll();
    if (!form.valid) return;
    const input = { ...form.values, name: form.values.name.trim(), email: form.values.email.trim(), phone: form.values.phone.replaceAll(" ", "") };
    save.mutate(
      { id: contact?.id, input },
      {
        onSuccess: (saved) => {
          toast({ text: t("form.saved", { name: input.name }) });
          // A new contact is tested next, on its own page.
          if (!contact) void navigate(`/contacts/${saved.id}`, { replace: true });
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
      <ContactFields form={form} readOnly={!operator} />
      {save.error && unplaced(save.error, Object.keys(form.values)) !== null && <Trouble error={save.error} />}
      {operator && (
        <div className="kw-form-actions kw-fields-wide">
          <Button type="submit" loading={save.isPending}>{contact ? t("action.save") : t("contacts.create")}</Button>
          <Button variant="default" onClick={() => void navigate("/contacts")}>{t("action.cancel")}</Button>
          {contact && <Delete contact={contact} />}
        </div>
      )}
    </form>
  );
}

function Delete({ contact }: { contact: Contact }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [asking, setAsking] = useState(false);
  const remove = useDeleteContact();
  const confirm = () =>
    remove.mutate(contact.id, {
      onSuccess: () => {
        toast({ text: t("form.deleted", { name: contact.name }) });
        void navigate("/contacts");
      },
    });
  return (
    <>
      <Button className="kw-delete" variant="default" onClick={() => setAsking(true)}>{t("action.delete")}</Button>
      {asking && (
        <Confirm title={t("contacts.deleteTitle", { name: contact.name })} action={t("action.delete")} busy={remove.isPending} error={remove.error && <Trouble error={remove.error} />} onConfirm={confirm} onClose={() => setAsking(false)}>
          {t("contacts.deleteText", { count: contact.thresholds })}
        </Confirm>
      )}
    </>
  );
}
