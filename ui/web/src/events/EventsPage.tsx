import { useDeferredValue, useMemo } from "react";
import { useTranslation } from "react-i18next";
import { useEvents } from "../api/queries";
import type { Event } from "../api/types";
import { useRange } from "../charts/range";
import { RangePicker } from "../charts/RangePicker";
import { useParam } from "../kit/address";
import { FilterBox } from "../kit/FilterBox";
import { EventsIcon } from "../kit/icons";
import { Empty, Loaded, Page } from "../kit/Page";
import { parseFilter, type Field } from "../kit/tokens";
import { EventTable } from "./EventTable";

const fields: Field<Event>[] = [
  { name: "cluster", kind: "text", of: (e) => e.cluster },
  { name: "host", kind: "text", of: (e) => e.host },
  { name: "kind", kind: "text", of: (e) => e.kind },
];

const words = (e: Event) => `${e.cluster}/${e.host} ${e.kind} ${e.text}`;
const most = 1000;

export function EventsPage() {
  const { t } = useTranslation();
  const [text, setText] = useParam("q");
  const range = useRange("24h");
  const events = useEvents({
    since: new Date(range.window.start * 1000).toISOString(),
    until: range.last === null ? new Date(range.window.end * 1000).toISOString() : undefined,
    limit: most,
  });
  const wanted = useDeferredValue(text);
  const filter = useMemo(() => parseFilter(wanted, fields, words), [wanted]);
  return (
    <Page title={t("nav.events")} name={t("nav.events")} side={<RangePicker range={range} />}>
      <FilterBox
        value={text}
        onChange={setText}
        filter={filter}
        label={t("events.filter")}
        known={fields.map((f) => f.name)}
        examples={["kind:vrrp_*", "kind:vip_*", "kind:server_*", "kind:host_*", "cluster:", "host:"]}
      />
      <Loaded query={events}>
        {({ items }) => (
          <>
            {items.length >= most && <p className="kw-dim kw-small">{t("events.most", { n: most })}</p>}
            <EventTable
              main
              events={items.filter(filter.test)}
              label={t("nav.events")}
              epoch={wanted}
              empty={<Empty icon={<EventsIcon />}>{items.length > 0 ? t("filter.nothing") : t("events.none")}</Empty>}
            />
          </>
        )}
      </Loaded>
    </Page>
  );
}
