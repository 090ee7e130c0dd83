// Short words after an action: what was done, and a way to undo it where there is one.
import { Button, CloseButton } from "@mantine/core";
import { useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";

export type Toast = { text: string; bad?: boolean; undo?: () => void };

type Shown = Toast & { id: number };

let shown: Shown[] = [];
let last = 0;
const listeners = new Set<() => void>();

function set(next: Shown[]) {
  shown = next;
  listeners.forEach((tell) => tell());
}

const close = (id: number) => set(shown.filter((s) => s.id !== id));

export function toast(what: Toast) {
  const id = ++last;
  set([...shown.slice(-2), { ...what, id }]);
  setTimeout(() => close(id), what.undo || what.bad ? 10_000 : 4_000);
}

export function Toasts() {
  const { t } = useTranslation();
  const list = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => shown,
  );
  return (
    <div className="kw-toasts" role="status" aria-live="polite">
      {list.map((item) => (
        <div key={item.id} className="kw-toast" data-bad={item.bad || undefined}>
          <span>{item.text}</span>
          {item.undo && (
            <Button
              size="compact-sm"
              variant="default"
              onClick={() => {
                item.undo?.();
                close(item.id);
              }}
            >
              {t("action.undo")}
            </Button>
          )}
          <CloseButton size="sm" aria-label={t("action.close")} onClick={() => close(item.id)} />
        </div>
      ))}
    </div>
  );
}
