// Search over hosts, metrics, thresholds, people and places, from anywhere with "/".
import "./search.css";
import { Modal, TextInput } from "@mantine/core";
import { useDeferredValue, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { useContacts, useHosts, useMetrics, useThresholds } from "../api/queries";
import { places } from "../app/places";
import { useMay } from "../app/session";
import { SearchIcon } from "../kit/icons";
import { rank, type Found } from "./rank";
import { hostPath, metricPath } from "../kit/path";

function useAll(): Found[] {
  const { t } = useTranslation();
  const admin = useMay("admin");
  const hosts = useHosts().data?.items;
  const metrics = useMetrics().data?.items;
  const thresholds = useThresholds().data?.items;
  const contacts = useContacts().data?.items;
  return useMemo(() => {
    const all: Found[] = places
      .filter((place) => place.role !== "admin" || admin)
      .map((place) => ({ kind: "place", name: t(place.word), more: "", to: place.to }));
    for (const h of hosts ?? []) {
      all.push({ kind: "host", name: h.name, more: h.cluster, to: hostPath(h.cluster, h.name) });
    }
    for (const r of thresholds ?? []) all.push({ kind: "threshold", name: r.name, more: r.metric, to: `/thresholds/${r.id}` });
    for (const m of metrics ?? []) all.push({ kind: "metric", name: m.name, more: m.unit, to: metricPath(m.name) });
    for (const c of contacts ?? []) all.push({ kind: "contact", name: c.name, more: c.email || c.phone, to: `/contacts/${c.id}` });
    return all;
  }, [t, admin, hosts, metrics, thresholds, contacts]);
}

export function Search({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const all = useAll();
  const wanted = useDeferredValue(text);
  const found = useMemo(() => rank(all, wanted, 30), [all, wanted]);
  const go = (one: Found | undefined) => {
    if (!one) return;
    onClose();
    void navigate(one.to);
  };
  const keys = (event: React.KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "ArrowDown") setAt(Math.min(at + 1, found.length - 1));
    else if (event.key === "ArrowUp") setAt(Math.max(at - 1, 0));
    else if (event.key === "Enter") go(found[at]);
    else return;
    event.preventDefault();
  };
  return (
    <Modal opened onClose={onClose} withCloseButton={false} padding={0} size="lg" yOffset="8vh" aria-label={t("nav.search")}>
      <TextInput
        className="kw-search-input"
        role="combobox"
        aria-expanded
        aria-controls="kw-found"
        aria-activedescendant={found[at] ? `kw-found-${at}` : undefined}
        aria-label={t("search.label")}
        placeholder={t("search.label")}
        leftSection={<SearchIcon />}
        value={text}
        onChange={(e) => {
          setText(e.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={keys}
        data-autofocus
        spellCheck={false}
        autoComplete="off"
      />
      <div role="listbox" id="kw-found" className="kw-found" aria-label={t("search.results")}>
        {found.map((one, i) => (
          <div
            key={`${one.kind} ${one.to}`}
            id={`kw-found-${i}`}
            role="option"
            aria-selected={i === at}
            onPointerMove={() => setAt(i)}
            onClick={() => go(one)}
            ref={i === at ? (element) => element?.scrollIntoView({ block: "nearest" }) : undefined}
          >
            <span className="kw-found-kind">{t(`search.${one.kind}`)}</span>
            <span className="kw-clip">{one.name}</span>
            <span className="kw-dim kw-clip">{one.more}</span>
          </div>
        ))}
        {found.length === 0 && <p className="kw-found-none">{t("search.none", { text })}</p>}
      </div>
    </Modal>
  );
}
