import { Button, Popover, SegmentedControl, TextInput } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { shortTime } from "../kit/time";
import { lasts, type Last, type Range } from "./range";

// local writes a time the way an input of type datetime-local wants it, in the reader's zone.
function local(seconds: number): string {
  const date = new Date(seconds * 1000);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

export function RangePicker({ range }: { range: Range }) {
  const { t, i18n } = useTranslation();
  const [open, setOpen] = useState(false);
  const { start, end } = range.window;
  const between = `${shortTime(start * 1000, Date.now(), i18n.language)} – ${shortTime(end * 1000, Date.now(), i18n.language)}`;
  return (
    <div className="kw-range">
      <SegmentedControl
        size="xs"
        aria-label={t("range.label")}
        value={range.last ?? ""}
        onChange={(value) => range.setLast(value as Last)}
        data={Object.keys(lasts).map((name) => ({ value: name, label: t(`range.${name}`) }))}
      />
      <Popover opened={open} onChange={setOpen} position="bottom-end" withinPortal trapFocus>
        <Popover.Target>
          <Button size="compact-sm" variant={range.last === null ? "filled" : "default"} onClick={() => setOpen(!open)}>
            {range.last === null ? between : t("range.custom")}
          </Button>
        </Popover.Target>
        <Popover.Dropdown>
          <Custom range={range} close={() => setOpen(false)} />
        </Popover.Dropdown>
      </Popover>
    </div>
  );
}

function Custom({ range, close }: { range: Range; close: () => void }) {
  const { t } = useTranslation();
  const [from, setFrom] = useState(local(range.window.start));
  const [to, setTo] = useState(local(range.window.end));
  const start = Date.parse(from) / 1000;
  const end = Date.parse(to) / 1000;
  const valid = end > start;
  return (
    <form
      className="kw-stack"
      onSubmit={(event) => {
        event.preventDefault();
        if (!valid) return;
        range.zoom(start, end);
        close();
      }}
    >
      <TextInput type="datetime-local" label={t("range.from")} value={from} onChange={(e) => setFrom(e.currentTarget.value)} />
      <TextInput
        type="datetime-local"
        label={t("range.to")}
        value={to}
        onChange={(e) => setTo(e.currentTarget.value)}
        error={valid ? null : t("range.order")}
      />
      <Button type="submit" disabled={!valid}>{t("range.show")}</Button>
    </form>
  );
}
