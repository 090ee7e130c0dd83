// Any metric of this host, picked by name, charted under the others.
import { CloseButton, Select } from "@mantine/core";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { Host, HostMetric } from "../api/types";
import type { Mark } from "../charts/draw";
import type { Range } from "../charts/range";
import { useParam } from "../kit/address";
import { Section } from "../kit/Page";
import { metricPath } from "../kit/path";
import { HostChart } from "./Charts";
import { planOf } from "./groups";

type Props = { host: Host; metrics: HostMetric[]; range: Range; marks: Mark[] };

export function Explorer({ host, metrics, range, marks }: Props) {
  const { t } = useTranslation();
  const [param, setParam] = useParam("metrics");
  const picked = param === "" ? [] : param.split(",");
  const byName = useMemo(() => new Map(metrics.map((m) => [m.name, m])), [metrics]);
  const names = useMemo(() => metrics.map((m) => m.name).sort(), [metrics]);
  const add = (name: string | null) => {
    if (name && !picked.includes(name)) setParam([...picked, name].join(","));
  };
  return (
    <Section title={t("hosts.explorer")} side={t("hosts.metricCount", { count: metrics.length })}>
      <Select
        className="kw-pick"
        aria-label={t("hosts.pick")}
        placeholder={t("hosts.pick")}
        data={names}
        value={null}
        onChange={add}
        searchable
        limit={200}
        nothingFoundMessage={t("filter.nothing")}
      />
      <div className="kw-grid">
        {picked.map((name) => {
          const metric = byName.get(name);
          if (!metric) return <p key={name} className="kw-dim">{t("hosts.noMetric", { name })}</p>;
          return (
            <HostChart
              key={name}
              title={name}
              plan={planOf(metric)}
              host={host}
              range={range}
              marks={marks}
              side={
                <span className="kw-chart-side">
                  <Link to={metricPath(name)}>{t("hosts.allHosts")}</Link>
                  <CloseButton size="xs" aria-label={t("hosts.removeChart", { name })} onClick={() => setParam(picked.filter((p) => p !== name).join(","))} />
                </span>
              }
            />
          );
        })}
      </div>
    </Section>
  );
}
