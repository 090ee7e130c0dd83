// The frame of a page: title, what stands beside it, and the three states that every question has.
import { Button, Skeleton } from "@mantine/core";
import { useEffect, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../api/client";
import { CriticalIcon } from "./icons";

export function Page({ title, name, side, children }: { title: ReactNode; name: string; side?: ReactNode; children: ReactNode }) {
  useEffect(() => {
    document.title = `${name} · Keepwatch`;
  }, [name]);
  return (
    <>
      <header className="kw-page">
        <h1>{title}</h1>
        {side && <div className="kw-page-side">{side}</div>}
      </header>
      {children}
    </>
  );
}

export function Section({ title, side, children, id }: { title: ReactNode; side?: ReactNode; children: ReactNode; id?: string }) {
  return (
    <section className="kw-section" id={id}>
      <header>
        <h2>{title}</h2>
        {side && <div className="kw-section-side">{side}</div>}
      </header>
      {children}
    </section>
  );
}

export function errorText(error: unknown, t: (key: string) => string): string {
  if (error instanceof ApiError) {
    if (error.status === 0) return t("error.unreachable");
    return error.message;
  }
  return t("error.unexpected");
}

// Trouble says what happened, what still holds, and what to do.
export function Trouble({ error, again, kept }: { error: unknown; again?: () => void; kept?: boolean }) {
  const { t } = useTranslation();
  return (
    <div className="kw-trouble" role="alert">
      <CriticalIcon />
      <div>
        <strong>{t("error.title")}</strong> {errorText(error, t)} {kept && t("error.kept")}
      </div>
      {again && <Button size="compact-sm" variant="default" onClick={again}>{t("action.tryAgain")}</Button>}
    </div>
  );
}

type Asked<T> = { data: T | undefined; error: unknown; refetch: () => unknown };

// Loaded shows what was asked for: a skeleton until the first answer, then the answer, with a word above it when it
// could not be renewed.
export function Loaded<T>({ query, rows = 6, children }: { query: Asked<T>; rows?: number; children: (data: T) => ReactNode }) {
  const again = () => void query.refetch();
  if (query.data === undefined) return query.error ? <Trouble error={query.error} again={again} /> : <Bones rows={rows} />;
  return (
    <>
      {query.error ? <Trouble error={query.error} again={again} kept /> : null}
      {children(query.data)}
    </>
  );
}

export function Bones({ rows }: { rows: number }) {
  const { t } = useTranslation();
  return (
    <div className="kw-bones" aria-busy="true" aria-label={t("state.loading")}>
      {Array.from({ length: rows }, (_, i) => <Skeleton key={i} height={18} width={`${90 - ((i * 17) % 40)}%`} />)}
    </div>
  );
}

// Empty says what would be here and gives the action that brings it.
export function Empty({ icon, children, action }: { icon?: ReactNode; children: ReactNode; action?: ReactNode }) {
  return (
    <div className="kw-empty">
      {icon}
      <p>{children}</p>
      {action}
    </div>
  );
}
