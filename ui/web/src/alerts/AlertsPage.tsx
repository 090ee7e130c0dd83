import { SegmentedControl } from "@mantine/core";
import { useDeferredValue, useMemo } from "react";
import { useTranslation } from "react-i18next";
import { useAlerts } from "../api/queries";
import type { Alert } from "../api/types";
import { useParam } from "../kit/address";
import { FilterBox } from "../kit/FilterBox";
import { OkIcon } from "../kit/icons";
import { Empty, Loaded, Page } from "../kit/Page";
import { parseFilter, type Field } from "../kit/tokens";
import { AlertTable } from "./AlertTable";

const fields: Field<Alert>[] = [
  { name: "cluster", kind: "text", of: (a) => a.cluster },
  { name: "host", kind: "text", of: (a) => a.host },
  { name: "state", kind: "text", of: (a) => a.state },
  { name: "rule", kind: "text", of: (a) => a.rule_name },
  { name: "metric", kind: "text", of: (a) => a.metric },
  { name: "ack", kind: "text", of: (a) => a.acknowledged_by ?? "no" },
  { name: "value", kind: "number", of: (a) => a.value },
];

const words = (a: Alert) => `${a.cluster}/${a.host} ${a.rule_name} ${a.metric} ${Object.values(a.labels).join(" ")}`;
const shownStates = ["open", "critical", "warning", "unknown", "all"];

export function AlertsPage() {
  const { t } = useTranslation();
  const [state, setState] = useParam("state", "open");
  const [text, setText] = useParam("q");
  const alerts = useAlerts({ state, limit: 1000 });
  const wanted = useDeferredValue(text);
  const filter = useMemo(() => parseFilter(wanted, fields, words), [wanted]);
  return (
    <Page
      title={t("nav.alerts")}
      name={t("nav.alerts")}
      side={
        <SegmentedControl
          size="xs"
          aria-label={t("column.state")}
          value={state}
          onChange={setState}
          data={shownStates.map((value) => ({ value, label: t(`alerts.${value}`) }))}
        />
      }
    >
      <FilterBox
        value={text}
        onChange={setText}
        filter={filter}
        label={t("alerts.filter")}
        known={fields.map((f) => f.name)}
        examples={["state:critical", "ack:no", "cluster:", "host:", "rule:"]}
      />
      <Loaded query={alerts}>
        {({ items }) => (
          <AlertTable
            label={t("nav.alerts")}
            alerts={items.filter(filter.test)}
            main
            order="state"
            epoch={`${state} ${wanted}`}
            empty={<Empty icon={<OkIcon />}>{items.length > 0 ? t("filter.nothing") : t("alerts.none")}</Empty>}
          />
        )}
      </Loaded>
    </Page>
  );
}
