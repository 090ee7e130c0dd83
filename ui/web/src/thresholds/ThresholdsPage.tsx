import "./thresholds.css";
import { Button, Switch } from "@mantine/core";
import { useDeferredValue, useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { useSaveThreshold, useThresholds } from "../api/queries";
import type { Threshold } from "../api/types";
import { useMay } from "../app/session";
import { useParam } from "../kit/address";
import { DataTable, type Column } from "../kit/DataTable";
import { FilterBox } from "../kit/FilterBox";
import { ThresholdsIcon } from "../kit/icons";
import { labelText } from "../kit/labels";
import { Empty, errorText, Loaded, Page } from "../kit/Page";
import { EnabledMark } from "../kit/state";
import { toast } from "../kit/toast";
import { durationText } from "../kit/time";
import { parseFilter, type Field } from "../kit/tokens";
import { inputOf } from "./input";

const fields: Field<Threshold>[] = [
  { name: "name", kind: "text", of: (r) => r.name },
  { name: "metric", kind: "text", of: (r) => r.metric },
  { name: "hosts", kind: "text", of: (r) => r.hosts },
  { name: "enabled", kind: "text", of: (r) => (r.enabled ? "yes" : "no") },
  { name: "alerting", kind: "number", of: (r) => r.alerting },
];

const words = (r: Threshold) => `${r.name} ${r.metric} ${r.hosts} ${r.description}`;
const pathOf = (rule: Threshold) => `/thresholds/${rule.id}`;

export function ThresholdsPage() {
  const { t } = useTranslation();
  const operator = useMay("operator");
  const thresholds = useThresholds();
  const [text, setText] = useParam("q");
  const wanted = useDeferredValue(text);
  const filter = useMemo(() => parseFilter(wanted, fields, words), [wanted]);
  const columns = useColumns(operator);
  const add = operator && <Button component={Link} to="/thresholds/new">{t("thresholds.add")}</Button>;
  return (
    <Page title={t("nav.thresholds")} name={t("nav.thresholds")} side={add}>
      <FilterBox value={text} onChange={setText} filter={filter} label={t("thresholds.filter")} known={fields.map((f) => f.name)} examples={["alerting>0", "enabled:no", "metric:", "hosts:"]} />
      <Loaded query={thresholds}>
        {({ items }) => (
          <DataTable
            label={t("nav.thresholds")}
            rows={items.filter(filter.test)}
            columns={columns}
            rowKey={(rule) => String(rule.id)}
            to={pathOf}
            main
            order="name"
            epoch={wanted}
            empty={
              items.length > 0 ? <Empty>{t("filter.nothing")}</Empty> : <Empty icon={<ThresholdsIcon />} action={add}>{t("thresholds.none")}</Empty>
            }
          />
        )}
      </Loaded>
    </Page>
  );
}

function useColumns(operator: boolean): Column<Threshold>[] {
  const { t } = useTranslation();
  return useMemo(
    () => [
      { id: "enabled", header: t("column.state"), width: "88px", phone: "lead", sort: (r) => Number(!r.enabled), cell: (r) => (operator ? <Toggle rule={r} /> : <EnabledMark enabled={r.enabled} />) },
      { id: "name", header: t("thresholds.name"), width: "minmax(130px, 1.6fr)", phone: "title", sort: (r) => r.name, cell: (r) => <Link to={pathOf(r)}>{r.name}</Link> },
      { id: "metric", header: t("alert.metric"), width: "minmax(150px, 2fr)", phone: "meta", sort: (r) => r.metric, cell: (r) => <Watched rule={r} /> },
      { id: "hosts", header: t("nav.hosts"), width: "minmax(70px, 1fr)", phone: "meta", sort: (r) => r.hosts, cell: (r) => r.hosts || "*" },
      { id: "warning", header: t("state.warning"), width: "84px", right: true, phone: "hide", cell: (r) => <span className="kw-num">{r.warning || "–"}</span> },
      { id: "critical", header: t("state.critical"), width: "84px", right: true, phone: "hide", cell: (r) => <span className="kw-num">{r.critical || "–"}</span> },
      { id: "for", header: t("thresholds.forShort"), width: "76px", right: true, phone: "hide", sort: (r) => r.for_seconds, cell: (r) => <span className="kw-num">{r.for_seconds === 0 ? t("thresholds.atOnce") : durationText(r.for_seconds, t)}</span> },
      { id: "alerting", header: t("thresholds.alerting"), width: "76px", right: true, phone: "side", sort: (r) => r.alerting, cell: (r) => (r.alerting > 0 ? <strong data-tone="critical">{r.alerting}</strong> : <span className="kw-dim">0</span>) },
    ],
    [t, operator],
  );
}

function Watched({ rule }: { rule: Threshold }) {
  return (
    <span className="kw-mono">
      {rule.transform === "rate" ? `rate(${rule.metric})` : rule.metric} <span className="kw-dim">{labelText(rule.labels)}</span>
    </span>
  );
}

function Toggle({ rule }: { rule: Threshold }) {
  const { t } = useTranslation();
  const save = useSaveThreshold();
  const set = (enabled: boolean, version: number, undone: boolean) =>
    save.mutate(
      { id: rule.id, version, input: { ...inputOf(rule), enabled } },
      {
        onSuccess: (saved) => {
          if (undone) return;
          const text = enabled ? t("thresholds.enabledDone", { name: rule.name }) : t("thresholds.disabledDone", { name: rule.name });
          toast({ text, undo: () => set(!enabled, saved.version, true) });
        },
        onError: (error) => toast({ text: errorText(error, t), bad: true }),
      },
    );
  return (
    <Switch
      size="xs"
      checked={rule.enabled}
      disabled={save.isPending}
      label={rule.enabled ? t("enabled.on") : t("enabled.off")}
      aria-label={t("thresholds.toggle", { name: rule.name })}
      onChange={(event) => set(event.currentTarget.checked, rule.version, false)}
    />
  );
}
