import { useTranslation } from "react-i18next";
import type { Host, State } from "../api/types";
import { CriticalIcon, UnknownIcon, WarningIcon } from "../kit/icons";

const shown: { state: Exclude<State, "ok">; icon: typeof CriticalIcon }[] = [
  { state: "critical", icon: CriticalIcon },
  { state: "unknown", icon: UnknownIcon },
  { state: "warning", icon: WarningIcon },
];

// Problems counts what is wrong with a host, by state; the words are read out and shown on hover.
export function Problems({ host }: { host: Host }) {
  const { t } = useTranslation();
  return (
    <span className="kw-problems">
      {shown.map(({ state, icon: Icon }) => {
        const n = host.problems[state];
        if (n === 0) return null;
        const word = `${n} ${t(`state.${state}`)}`;
        return <span key={state} className="kw-state" data-tone={state} title={word}><Icon /><span>{word}</span></span>;
      })}
    </span>
  );
}
