// What a page shows lives in its address, so that it can be pasted into a chat.
import { useCallback } from "react";
import { useSearchParams } from "react-router";

// useParam is one search parameter as state; its default is left out of the address. Changes replace the history
// entry unless push says otherwise: typing a filter is not something to go back through.
export function useParam(name: string, standard = "", push = false): [string, (value: string) => void] {
  const [search, setSearch] = useSearchParams();
  const set = useCallback(
    (value: string) =>
      setSearch(
        (before) => {
          const next = new URLSearchParams(before);
          if (value === standard) next.delete(name);
          else next.set(name, value);
          return next;
        },
        { replace: !push, preventScrollReset: true },
      ),
    [setSearch, name, standard, push],
  );
  return [search.get(name) ?? standard, set];
}
