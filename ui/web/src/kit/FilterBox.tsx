import { CloseButton, TextInput } from "@mantine/core";
import { useRef } from "react";
import { useTranslation } from "react-i18next";
import { SearchIcon } from "./icons";
import { useKeys } from "./keys";
import type { Filter } from "./tokens";

type Props<R> = {
  value: string;
  onChange: (value: string) => void;
  filter: Filter<R>;
  examples: string[]; // tokens to begin with, as "cluster:" or "cpu>90"
  known: string[]; // the names of the fields
  label: string;
};

// FilterBox is the typed filter of a list, with its tokens to hand and its mistakes named.
export function FilterBox<R>({ value, onChange, filter, examples, known, label }: Props<R>) {
  const { t } = useTranslation();
  const input = useRef<HTMLInputElement>(null);
  useKeys({ f: () => input.current?.focus() });
  const add = (example: string) => {
    const words = value.split(/\s+/).filter((word) => word !== "");
    onChange(words.includes(example) ? words.filter((w) => w !== example).join(" ") : [...words, example].join(" "));
    input.current?.focus();
  };
  const first = filter.errors[0];
  const error =
    first === undefined ? null
    : first.why === "field" ? t("filter.noField", { token: first.token, known: known.join(", ") })
    : t("filter.noNumber", { token: first.token });
  return (
    <div className="kw-filter">
      <TextInput
        ref={input}
        aria-label={label}
        placeholder={label}
        value={value}
        onChange={(e) => onChange(e.currentTarget.value)}
        onKeyDown={(e) => e.key === "Escape" && input.current?.blur()}
        error={error}
        leftSection={<SearchIcon />}
        rightSection={value === "" ? null : <CloseButton size="sm" aria-label={t("filter.clear")} onClick={() => onChange("")} />}
        spellCheck={false}
        autoComplete="off"
        autoCapitalize="off"
      />
      <div className="kw-tokens">
        {examples.map((example) => (
          <button type="button" key={example} aria-pressed={value.split(/\s+/).includes(example)} onClick={() => add(example)}>
            {example}
          </button>
        ))}
      </div>
    </div>
  );
}
