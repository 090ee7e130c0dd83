import { Select } from "@mantine/core";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { HA } from "../api/types";
import { EventTable } from "../events/EventTable";
import { Empty, Section } from "../kit/Page";

type Props = { ha: HA; instance: string; choose: (instance: string) => void };

// Transitions is what changed before, with the reason of each: of all, or of one instance.
export function Transitions({ ha, instance, choose }: Props) {
  const { t } = useTranslation();
  const names = useMemo(() => {
    const all = new Set(ha.instances.map((i) => i.instance));
    if (instance !== "") all.add(instance); // one that is gone still has a history
    return [...all].sort();
  }, [ha.instances, instance]);
  const side = (
    <span className="kw-line">
      {names.length > 0 && (
        <Select
          size="xs"
          aria-label={t("ha.ofInstance")}
          data={[{ value: "", label: t("ha.allInstances") }, ...names.map((name) => ({ value: name, label: name }))]}
          value={instance}
          onChange={(value) => choose(value ?? "")}
          allowDeselect={false}
        />
      )}
      <Link to="/events?q=kind:vrrp_*,vip_*,server_*,proxy_*">{t("overview.toEvents")}</Link>
    </span>
  );
  return (
    <Section title={t("ha.transitions")} side={side} id="transitions">
      <EventTable events={ha.transitions} label={t("ha.transitions")} empty={<Empty>{t("ha.noTransitions")}</Empty>} epoch={instance} />
    </Section>
  );
}
