// How a state is shown, everywhere: a shape, a word and a colour, never the colour alone.
import type { ComponentType, SVGProps } from "react";
import { useTranslation } from "react-i18next";
import type { InstanceState, ServerStatus, State } from "../api/types";
import {
  AcknowledgedIcon, CriticalIcon, DownIcon, OffIcon, OkIcon, StaleIcon, StandbyIcon, UnknownIcon, UpIcon, WarningIcon,
} from "./icons";

export type Tone = State | "quiet" | "stale";

type Look = { icon: ComponentType<SVGProps<SVGSVGElement>>; tone: Tone };

const states: Record<State, Look> = {
  ok: { icon: OkIcon, tone: "ok" },
  warning: { icon: WarningIcon, tone: "warning" },
  critical: { icon: CriticalIcon, tone: "critical" },
  unknown: { icon: UnknownIcon, tone: "unknown" },
};

const instances: Record<InstanceState, Look> = {
  master: { icon: UpIcon, tone: "ok" },
  backup: { icon: StandbyIcon, tone: "quiet" },
  init: { icon: StaleIcon, tone: "warning" },
  fault: { icon: CriticalIcon, tone: "critical" },
  unknown: { icon: UnknownIcon, tone: "unknown" },
};

const servers: Record<ServerStatus, Look> = {
  up: { icon: UpIcon, tone: "ok" },
  down: { icon: DownIcon, tone: "critical" },
  maint: { icon: OffIcon, tone: "quiet" },
  drain: { icon: StandbyIcon, tone: "quiet" },
  nolb: { icon: StandbyIcon, tone: "warning" },
  "no check": { icon: UnknownIcon, tone: "quiet" },
  unknown: { icon: UnknownIcon, tone: "unknown" },
};

// severity orders what matters most first.
export const severity: Record<State, number> = { critical: 0, unknown: 1, warning: 2, ok: 3 };

export function Mark({ look, word, strong }: { look: Look; word: string; strong?: boolean }) {
  const Icon = look.icon;
  return (
    <span className="kw-state" data-tone={look.tone} data-strong={strong || undefined}>
      <Icon />
      <span>{word}</span>
    </span>
  );
}

export function StateMark({ state, strong }: { state: State; strong?: boolean }) {
  const { t } = useTranslation();
  return <Mark look={states[state] ?? states.unknown} word={t(`state.${state}`)} strong={strong} />;
}

export function UpDown({ up, strong }: { up: boolean; strong?: boolean }) {
  const { t } = useTranslation();
  const look: Look = up ? { icon: UpIcon, tone: "ok" } : { icon: DownIcon, tone: "critical" };
  return <Mark look={look} word={up ? t("updown.up") : t("updown.down")} strong={strong} />;
}

export function InstanceMark({ state }: { state: InstanceState }) {
  const { t } = useTranslation();
  return <Mark look={instances[state] ?? instances.unknown} word={t(`instance.${state}`)} />;
}

export function ServerMark({ status }: { status: ServerStatus }) {
  const { t } = useTranslation();
  return <Mark look={servers[status] ?? servers.unknown} word={t(`server.${status.replace(" ", "_")}`)} />;
}

const vips = {
  held: { icon: OkIcon, tone: "ok" },
  nobody: { icon: CriticalIcon, tone: "critical" },
  conflict: { icon: CriticalIcon, tone: "critical" },
} satisfies Record<string, Look>;

export function VipMark({ state }: { state: keyof typeof vips }) {
  const { t } = useTranslation();
  return <Mark look={vips[state]} word={t(`vip.${state}`)} strong={state !== "held"} />;
}

export function AcknowledgedMark({ by }: { by: string }) {
  const { t } = useTranslation();
  return <Mark look={{ icon: AcknowledgedIcon, tone: "quiet" }} word={t("alert.acknowledgedBy", { name: by })} />;
}

export function StaleMark({ word }: { word: string }) {
  return <Mark look={{ icon: StaleIcon, tone: "stale" }} word={word} />;
}

export function EnabledMark({ enabled }: { enabled: boolean }) {
  const { t } = useTranslation();
  const look: Look = enabled ? { icon: OkIcon, tone: "ok" } : { icon: OffIcon, tone: "quiet" };
  return <Mark look={look} word={enabled ? t("enabled.on") : t("enabled.off")} />;
}
