// Forms keep what was typed, check where it is typed, and show the server's word on a field beside that field.
import { useState } from "react";
import { ApiError } from "../api/client";

export type Errors<T> = Partial<Record<keyof T, string>>;

export type Form<T> = {
  values: T;
  set: <K extends keyof T>(name: K, value: T[K]) => void;
  error: (name: keyof T) => string | null;
  touch: (name: keyof T) => void;
  valid: boolean;
  showAll: () => void;
  changed: boolean;
};

// useForm: check says what is wrong with the values as they are; a field's mistake shows once it was left or the form
// was sent; what the server said about a field stands until the field is changed.
export function useForm<T extends object>(initial: T, check: (values: T) => Errors<T>, failure: unknown): Form<T> {
  const [values, setValues] = useState(initial);
  const [touched, setTouched] = useState<ReadonlySet<keyof T> | "all">(new Set<keyof T>());
  const [corrected, setCorrected] = useState<{ of: unknown; fields: ReadonlySet<keyof T> }>({ of: null, fields: new Set() });
  const errors = check(values);
  const said = failure instanceof ApiError ? failure.fields : [];
  const error = (name: keyof T) => {
    const fixed = corrected.of === failure && corrected.fields.has(name);
    const server = fixed ? undefined : said.find((e) => e.field === name)?.message;
    if (server) return server;
    return touched === "all" || touched.has(name) ? (errors[name] ?? null) : null;
  };
  return {
    values,
    error,
    set: (name, value) => {
      setValues((before) => ({ ...before, [name]: value }));
      setCorrected((before) => ({
        of: failure,
        fields: new Set([...(before.of === failure ? before.fields : []), name]),
      }));
    },
    touch: (name) => setTouched((before) => (before === "all" ? before : new Set([...before, name]))),
    valid: Object.values(errors).every((e) => !e),
    showAll: () => setTouched("all"),
    changed: JSON.stringify(values) !== JSON.stringify(initial),
  };
}

// unplaced is what of a failure has no field of the form to stand beside.
export function unplaced(failure: unknown, fields: string[]): unknown {
  if (failure instanceof ApiError && failure.fields.length > 0 && failure.fields.every((e) => fields.includes(e.field))) return null;
  return failure;
}
