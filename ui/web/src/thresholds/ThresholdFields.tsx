import { Autocomplete, MultiSelect, SegmentedControl, Switch, Textarea, TextInput } from "@mantine/core";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { useContacts, useMetrics } from "../api/queries";
import type { Transform } from "../api/types";
import type { Form } from "../kit/form";
import type { Typed } from "./input";

type Props = { form: Form<Typed>; readOnly: boolean };
type TextName = "name" | "hosts" | "labels" | "warning" | "critical" | "for_seconds" | "clear_seconds";

export function ThresholdFields({ form, readOnly }: Props) {
  const { t } = useTranslation();
  const text = (name: TextName) => ({
    value: form.values[name],
    onChange: (event: React.ChangeEvent<HTMLInputElement>) => form.set(name, event.currentTarget.value),
    onBlur: () => form.touch(name),
    error: form.error(name),
    spellCheck: false,
    autoComplete: "off",
  });
  return (
    <fieldset className="kw-fields" disabled={readOnly}>
      <TextInput label={t("thresholds.name")} placeholder={t("thresholds.nameExample")} {...text("name")} />
      <MetricField form={form} />
      <div className="kw-pair">
        <TextInput label={t("nav.hosts")} description={t("thresholds.hostsHelp")} {...text("hosts")} />
        <TextInput label={t("thresholds.labels")} description={t("thresholds.labelsHelp")} placeholder="device=eth*" {...text("labels")} />
      </div>
      <div>
        <div className="kw-label" id="transform">{t("thresholds.transform")}</div>
        <SegmentedControl
          size="xs"
          aria-labelledby="transform"
          value={form.values.transform}
          onChange={(value) => form.set("transform", value as Transform)}
          data={[{ value: "value", label: t("thresholds.value") }, { value: "rate", label: t("thresholds.rate") }]}
        />
      </div>
      <div className="kw-pair">
        <TextInput label={t("state.warning")} placeholder="80" {...text("warning")} />
        <TextInput label={t("state.critical")} placeholder="90" {...text("critical")} />
      </div>
      <p className="kw-small kw-dim">{t("thresholds.levelHelp")}</p>
      <div className="kw-pair">
        <TextInput label={t("thresholds.for")} description={t("thresholds.forHelp")} {...text("for_seconds")} />
        <TextInput label={t("thresholds.clear")} description={t("thresholds.clearHelp")} {...text("clear_seconds")} />
      </div>
      <Switch label={t("thresholds.noData")} checked={form.values.no_data} onChange={(e) => form.set("no_data", e.currentTarget.checked)} />
      <Textarea
        label={t("thresholds.description")}
        description={t("thresholds.descriptionHelp")}
        value={form.values.description}
        onChange={(e) => form.set("description", e.currentTarget.value)}
        error={form.error("description")}
        autosize
        minRows={2}
        maxRows={8}
      />
      <ContactsField form={form} />
      <Switch label={t("thresholds.enabled")} checked={form.values.enabled} onChange={(e) => form.set("enabled", e.currentTarget.checked)} />
    </fieldset>
  );
}

function MetricField({ form }: { form: Form<Typed> }) {
  const { t } = useTranslation();
  const metrics = useMetrics().data?.items;
  const names = useMemo(() => metrics?.map((m) => m.name).sort() ?? [], [metrics]);
  const known = metrics?.find((m) => m.name === form.values.metric);
  const choose = (name: string) => {
    form.set("metric", name);
    // What only grows says something by its rate.
    const metric = metrics?.find((m) => m.name === name);
    if (metric) form.set("transform", metric.kind === "counter" ? "rate" : "value");
  };
  return (
    <Autocomplete
      label={t("alert.metric")}
      description={known ? t("thresholds.metricKnown", { kind: t(`kind.${known.kind}`), unit: known.unit || "–", count: known.hosts }) : t("thresholds.metricHelp")}
      placeholder="node_cpu_usage_ratio"
      data={names}
      limit={50}
      value={form.values.metric}
      onChange={choose}
      onBlur={() => form.touch("metric")}
      error={form.error("metric")}
      spellCheck={false}
    />
  );
}

function ContactsField({ form }: { form: Form<Typed> }) {
  const { t } = useTranslation();
  const contacts = useContacts().data?.items ?? [];
  return (
    <MultiSelect
      label={t("nav.contacts")}
      description={contacts.length === 0 ? <Link to="/contacts/new">{t("contacts.addFirst")}</Link> : t("thresholds.contactsHelp")}
      data={contacts.map((c) => ({ value: String(c.id), label: c.name }))}
      value={form.values.contacts.map(String)}
      onChange={(ids) => form.set("contacts", ids.map(Number))}
      error={form.error("contacts")}
      searchable
      clearable
      nothingFoundMessage={t("filter.nothing")}
    />
  );
}
