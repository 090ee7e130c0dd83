// A threshold: its form beside the metric that it watches, with its lines moving while they are typed.
import "./thresholds.css";
import { Button } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate, useParams, useSearchParams } from "react-router";
import { ApiError } from "../api/client";
import { useDeleteThreshold, useSaveThreshold, useThreshold } from "../api/queries";
import type { Threshold } from "../api/types";
import { useMay } from "../app/session";
import { Confirm } from "../kit/Confirm";
import { unplaced, useForm } from "../kit/form";
import { Loaded, Page, Trouble } from "../kit/Page";
import { toast } from "../kit/toast";
import { Ago } from "../kit/time";
import { fresh, inputOf, mistakes, parsed, typedOf, type Mistakes, type Typed } from "./input";
import { ThresholdFields } from "./ThresholdFields";
import { ThresholdPreview } from "./ThresholdPreview";

export function ThresholdPage() {
  const { id } = useParams();
  const { t } = useTranslation();
  const [search] = useSearchParams();
  const rule = useThreshold(id);
  if (id === undefined) {
    return <Page title={t("thresholds.new")} name={t("thresholds.new")}><Editor initial={typedOf(fresh(search.get("metric") ?? ""))} /></Page>;
  }
  return (
    <Page title={rule.data?.name ?? t("thresholds.one")} name={rule.data?.name ?? t("thresholds.one")} side={rule.data && <Changed rule={rule.data} />}>
      <Loaded query={rule}>{(data) => <Existing rule={data} />}</Loaded>
    </Page>
  );
}

function Changed({ rule }: { rule: Threshold }) {
  const { t } = useTranslation();
  return <span className="kw-dim kw-small">{t("form.changedBy", { name: rule.updated_by })} <Ago at={rule.updated_at} /></span>;
}

// Existing keeps the form on the version that it was opened with: a change by someone else must not be typed over.
function Existing({ rule }: { rule: Threshold }) {
  const { t } = useTranslation();
  const [opened, setOpened] = useState(rule);
  const newer = rule.version !== opened.version;
  return (
    <>
      {newer && (
        <div className="kw-trouble" role="status">
          <div>{t("form.newer", { name: rule.updated_by })}</div>
          <Button size="compact-sm" variant="default" onClick={() => setOpened(rule)}>{t("form.takeNewer")}</Button>
        </div>
      )}
      <Editor key={opened.version} rule={opened} initial={typedOf(inputOf(opened))} onSaved={setOpened} />
    </>
  );
}

type EditorProps = { rule?: Threshold; initial: Typed; onSaved?: (rule: Threshold) => void };

function Editor({ rule, initial, onSaved }: EditorProps) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const operator = useMay("operator");
  const save = useSaveThreshold();
  const words = (wrong: Mistakes) => Object.fromEntries(Object.entries(wrong).map(([name, key]) => [name, t(key)])) as Mistakes;
  const form = useForm(initial, (typed) => words(mistakes(typed)), save.error);
  const submit = () => {
    form.showAll();
    if (!form.valid) return;
    save.mutate(
      { id: rule?.id, version: rule?.version, input: parsed(form.values) },
      {
        onSuccess: (saved) => {
          toast({ text: t("form.saved", { name: saved.name }) });
          if (rule) onSaved?.(saved);
          else void navigate("/thresholds");
        },
      },
    );
  };
  const conflict = save.error instanceof ApiError && save.error.status === 409;
  return (
    <form
      className="kw-threshold"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <div>
        <ThresholdFields form={form} readOnly={!operator} />
        {save.error && unplaced(save.error, Object.keys(form.values)) !== null && !conflict && <Trouble error={save.error} />}
        {conflict && <p className="kw-trouble" role="alert">{t("form.conflict")}</p>}
        {operator && (
          <div className="kw-form-actions">
            <Button type="submit" loading={save.isPending}>{rule ? t("action.save") : t("thresholds.create")}</Button>
            <Button variant="default" onClick={() => void navigate("/thresholds")}>{t("action.cancel")}</Button>
            {rule && <Delete rule={rule} />}
          </div>
        )}
      </div>
      <ThresholdPreview typed={form.values} />
    </form>
  );
}

function Delete({ rule }: { rule: Threshold }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [asking, setAsking] = useState(false);
  const remove = useDeleteThreshold();
  const confirm = () =>
    remove.mutate(rule.id, {
      onSuccess: () => {
        toast({ text: t("form.deleted", { name: rule.name }) });
        void navigate("/thresholds");
      },
    });
  return (
    <>
      <Button className="kw-delete" variant="default" onClick={() => setAsking(true)}>{t("action.delete")}</Button>
      {asking && (
        <Confirm title={t("thresholds.deleteTitle", { name: rule.name })} action={t("action.delete")} busy={remove.isPending} error={remove.error && <Trouble error={remove.error} />} onConfirm={confirm} onClose={() => setAsking(false)}>
          {t("thresholds.deleteText", { count: rule.alerting })}
        </Confirm>
      )}
    </>
  );
}
