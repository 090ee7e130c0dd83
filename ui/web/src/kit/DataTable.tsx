// The table of all lists: sorts, keeps still under the pointer, shows ten thousand rows as smoothly as ten, is driven
// by j, k, Enter and page-given keys, and becomes two-line rows where its
// columns have no room, as on a phone. Cells are laid out by one grid template,
// so that windowed rows line up without a browser table; roles say what it is to a screen reader.
import {
  createSortedRowModel, rowSortingFeature, tableFeatures, useTable, type ColumnDef, type Row, type SortingState,
} from "@tanstack/react-table";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { useParam } from "./address";
import { SortDownIcon, SortUpIcon } from "./icons";
import { useKeys } from "./keys";
import { neededWidth, useNarrow } from "./narrow";
import { useSteady } from "./steady";

export type Column<R> = {
  id: string;
  header: string;
  cell: (row: R) => ReactNode;
  width: string; // a CSS grid track
  sort?: (row: R) => string | number | null;
  right?: boolean;
  wrap?: boolean;
  phone: "title" | "lead" | "side" | "meta" | "hide"; // where it goes in the two lines
  phoneOnly?: boolean;
};

type Props<R extends object> = {
  label: string;
  rows: R[];
  columns: Column<R>[];
  rowKey: (row: R) => string;
  order?: string; // the first order: "column" or "-column" for descending
  to?: (row: R) => string; // where a row leads
  keys?: Record<string, (row: R) => void>; // what a key does to the chosen row
  stale?: (row: R) => boolean;
  empty: ReactNode;
  epoch?: string; // what the reader asked for, such as the filter: when it changes, held rows are let go
  main?: boolean; // the list of the page: order and chosen row live in the address, keys work
};

const features = tableFeatures({ rowSortingFeature, sortedRowModel: createSortedRowModel() });

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

function compareValues(a: unknown, b: unknown): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return collator.compare(String(a), String(b));
}

const windowedFrom = 80; // rows; fewer are drawn as they are

const parseOrder = (text: string): SortingState =>
  text === "" ? [] : [{ id: text.replace(/^-/, ""), desc: text.startsWith("-") }];

function useOrder(main: boolean, standard: string): [string, (order: string) => void] {
  const own = useState(standard);
  const address = useParam("sort", standard);
  return main ? address : own;
}

export function DataTable<R extends object>(props: Props<R>) {
  const { rows, rowKey, main = false } = props;
  const [order, setOrder] = useOrder(main, props.order ?? "");
  const root = useRef<HTMLDivElement>(null);
  const full = useMemo(() => props.columns.filter((c) => !c.phoneOnly), [props.columns]);
  const phone = useNarrow(root, neededWidth(full.map((c) => c.width)));
  const [held, setHeld] = useState(false);
  const columns = phone ? props.columns : full;

  const defs = useMemo(
    () =>
      columns.map(
        (column): ColumnDef<typeof features, R> => ({
          id: column.id,
          accessorFn: (row) => column.sort?.(row) ?? undefined,
          sortUndefined: "last",
          sortFn: (a: Row<typeof features, R>, b: Row<typeof features, R>, id: string) =>
            compareValues(a.getValue(id), b.getValue(id)),
        }),
      ),
    [columns],
  );
  const sorting = useMemo(() => parseOrder(order).filter((s) => columns.some((c) => c.id === s.id)), [order, columns]);
  const table = useTable({ features, columns: defs, data: rows, state: { sorting } });
  const model = table.getRowModel();
  const sorted = useMemo(() => model.rows.map((row) => row.original), [model]);
  const { rows: shown, waiting, gone } = useSteady(sorted, rowKey, held, `${order} ${props.epoch ?? ""}`);

  const template = columns.map((c) => c.width).join(" ");
  const sortBy = (id: string) => setOrder(order === id ? `-${id}` : id);
  return (
    <div
      ref={root}
      className="kw-table"
      role={shown.length > 0 ? "table" : undefined}
      aria-label={shown.length > 0 ? props.label : undefined}
      aria-rowcount={shown.length > 0 ? rows.length + 1 : undefined}
      data-phone={phone || undefined}
      style={{ "--columns": template } as React.CSSProperties}
    >
      {!phone && rows.length > 0 && <Head columns={columns} order={order} sortBy={sortBy} />}
      {rows.length === 0 && shown.length === 0 ? (
        props.empty
      ) : (
        <Body {...props} columns={columns} main={main} rows={shown} waiting={waiting} gone={gone} phone={phone} hold={setHeld} />
      )}
    </div>
  );
}

function Head<R>({ columns, order, sortBy }: { columns: Column<R>[]; order: string; sortBy: (id: string) => void }) {
  return (
    <div role="rowgroup" className="kw-head">
      <div role="row" className="kw-row">
        {columns.map((column) => {
          const by = order.replace(/^-/, "") === column.id;
          const sort = !by ? "none" : order.startsWith("-") ? "descending" : "ascending";
          return (
            <div key={column.id} role="columnheader" aria-sort={column.sort ? sort : undefined} data-right={column.right || undefined}>
              {column.sort ? (
                <button type="button" onClick={() => sortBy(column.id)}>
                  {column.header}
                  {by && (order.startsWith("-") ? <SortDownIcon /> : <SortUpIcon />)}
                </button>
              ) : (
                column.header
              )}
            </div>
          );
        })}
      </div>
    </div>
  );
}

type BodyProps<R extends object> = Props<R> & {
  waiting: number;
  gone: ReadonlySet<string>;
  phone: boolean;
  hold: (held: boolean) => void;
};

function Body<R extends object>(props: BodyProps<R>) {
  const { rows, rowKey, phone, main = false } = props;
  const { t } = useTranslation();
  const body = useRef<HTMLDivElement>(null);
  const windowed = rows.length > windowedFrom;
  const [margin, setMargin] = useState(0);
  useLayoutEffect(() => {
    const top = body.current ? body.current.getBoundingClientRect().top + window.scrollY : 0;
    setMargin((before) => (Math.abs(before - top) > 1 ? top : before));
  });
  const virtual = useWindowVirtualizer({
    count: windowed ? rows.length : 0,
    estimateSize: () => (phone ? 57 : 33),
    overscan: 12,
    scrollMargin: margin,
  });
  const chosen = useChosen(props, main, (index) => {
    if (windowed) virtual.scrollToIndex(index, { align: "auto" });
    else body.current?.children[index]?.scrollIntoView({ block: "nearest" });
  });
  const row = (item: R, index: number) => (
    <TableRow
      key={rowKey(item)}
      item={item}
      index={index}
      chosen={chosen === rowKey(item)}
      over={props.gone.has(rowKey(item))}
      measure={windowed ? virtual.measureElement : undefined}
      {...props}
    />
  );
  const items = windowed ? virtual.getVirtualItems() : [];
  const offset = (items[0]?.start ?? margin) - margin;
  return (
    <>
      {props.waiting > 0 && <div className="kw-waiting" role="status">{t("table.waiting", { count: props.waiting })}</div>}
      <div
        ref={body}
        role="rowgroup"
        className="kw-body"
        onPointerMove={(e) => e.pointerType === "mouse" && props.hold(true)}
        onPointerLeave={() => props.hold(false)}
        style={windowed ? { height: virtual.getTotalSize() } : undefined}
      >
        {windowed ? (
          <div style={{ transform: `translateY(${offset}px)` }}>
            {items.map((v) => {
              const item = rows[v.index];
              return item === undefined ? null : row(item, v.index);
            })}
          </div>
        ) : (
          rows.map(row)
        )}
      </div>
    </>
  );
}

// useChosen is the row that the keyboard is on, in the address under "row".
function useChosen<R extends object>(props: BodyProps<R>, main: boolean, show: (index: number) => void): string {
  const [param, setParam] = useParam("row");
  const navigate = useNavigate();
  const { rows, rowKey } = props;
  // The address follows a moment later; the next key must already find the row that this one chose.
  const chosen = useRef(param);
  const at = () => rows.findIndex((row) => rowKey(row) === chosen.current);
  const go = (index: number) => {
    const row = rows[Math.max(0, Math.min(rows.length - 1, index))];
    if (!row) return;
    chosen.current = rowKey(row);
    setParam(chosen.current);
  };
  const act = (then: (row: R) => void) => () => {
    const row = rows[at()];
    if (row) then(row);
  };
  const own: Record<string, () => void> = {};
  for (const [key, then] of Object.entries(props.keys ?? {})) own[key] = act(then);
  useKeys(
    main
      ? {
          ...own,
          j: () => go(at() + 1),
          k: () => go(Math.max(0, at() - 1)),
          Enter: act((row) => props.to && void navigate(props.to(row))),
        }
      : {},
  );
  useEffect(() => {
    chosen.current = param;
    const index = main ? at() : -1;
    if (index >= 0) show(index);
    // Only a change of the choice scrolls; new data must not.
  }, [param]);
  return main ? param : "";
}

type RowProps<R extends object> = BodyProps<R> & {
  item: R;
  index: number;
  chosen: boolean;
  over: boolean; // the row is no more, but held
  measure?: (element: Element | null) => void;
};

function TableRow<R extends object>({ item, index, chosen, over, measure, columns, to, stale, phone }: RowProps<R>) {
  const navigate = useNavigate();
  // The whole row leads where its title's link leads; a click that selects text or meets a button does not.
  const follow = (event: React.MouseEvent) => {
    if (!to || event.defaultPrevented || (event.target as HTMLElement).closest("a, button, input, label")) return;
    if (window.getSelection()?.toString()) return;
    void navigate(to(item));
  };
  return (
    <div
      role="row"
      className="kw-row"
      ref={measure}
      data-index={index}
      aria-rowindex={index + 2}
      aria-selected={chosen || undefined}
      data-link={to ? "" : undefined}
      data-over={over || undefined}
      data-stale={stale?.(item) || undefined}
      onClick={follow}
    >
      {phone ? <TwoLines item={item} columns={columns} /> : columns.map((c) => <Cell key={c.id} column={c} item={item} />)}
    </div>
  );
}

function Cell<R>({ column, item }: { column: Column<R>; item: R }) {
  return (
    <div role="cell" data-right={column.right || undefined} data-wrap={column.wrap || undefined}>
      {column.cell(item)}
    </div>
  );
}

function TwoLines<R>({ item, columns }: { item: R; columns: Column<R>[] }) {
  const of = (place: Column<R>["phone"]) => columns.filter((c) => c.phone === place);
  const cells = (place: Column<R>["phone"]) => of(place).map((c) => <span role="cell" key={c.id} data-wrap={c.wrap || undefined}>{c.cell(item)}</span>);
  return (
    <>
      <div className="kw-line1" role="none">
        {of("lead").length > 0 && <span className="kw-lead" role="none">{cells("lead")}</span>}
        <span className="kw-title" role="none">{cells("title")}</span>
        <span className="kw-side" role="none">{cells("side")}</span>
      </div>
      <div className="kw-line2" role="none">{cells("meta")}</div>
    </>
  );
}
