// Times and ages, told in the reader's language and zone: relative where young, absolute with zone on hover.
import { useTranslation } from "react-i18next";
import { useNow } from "../api/clock";

export type Translate = (key: string, values?: Record<string, unknown>) => string;

// durationText tells seconds in at most two units: "42 s", "3 min", "2 h 5 min", "4 d".
export function durationText(seconds: number, t: Translate): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return t("time.seconds", { n: s });
  const minutes = Math.floor(s / 60);
  if (minutes < 60) return t("time.minutes", { n: minutes });
  const hours = Math.floor(minutes / 60);
  if (hours < 24) {
    const rest = minutes % 60;
    return rest === 0 ? t("time.hours", { n: hours }) : t("time.hoursMinutes", { h: hours, m: rest });
  }
  const days = Math.floor(hours / 24);
  const rest = hours % 24;
  return rest === 0 || days > 6 ? t("time.days", { n: days }) : t("time.daysHours", { d: days, h: rest });
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(language: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = language + JSON.stringify(options);
  let made = formats.get(key);
  if (!made) {
    made = new Intl.DateTimeFormat(language, { hourCycle: "h23", ...options });
    formats.set(key, made);
  }
  return made;
}

const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit" } as const;

// fullTime is the absolute form with the zone.
export function fullTime(at: string | number, language: string): string {
  const options = { year: "numeric", month: "2-digit", day: "2-digit", ...clock, timeZoneName: "short" } as const;
  return format(language, options).format(new Date(at));
}

export function shortTime(at: string | number, now: number, language: string): string {
  const date = new Date(at);
  const same = new Date(now).toDateString() === date.toDateString();
  if (same) return format(language, clock).format(date);
  return format(language, { month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" }).format(date);
}

// Ago tells how long ago something was; older than a day it tells when.
export function Ago({ at }: { at: string | null | undefined }) {
  const { t, i18n } = useTranslation();
  const now = useNow();
  if (!at) return <span className="kw-dim">{t("time.never")}</span>;
  const age = (now - Date.parse(at)) / 1000;
  const text =
    age > 86_400 ? shortTime(at, now, i18n.language)
    : age < 1 ? t("time.now")
    : t("time.ago", { duration: durationText(age, t) });
  return <time dateTime={at} title={fullTime(at, i18n.language)} className="kw-num">{text}</time>;
}

// Lasting tells for how long something has been so.
export function Lasting({ since }: { since: string | null | undefined }) {
  const { t, i18n } = useTranslation();
  const now = useNow();
  if (!since) return <span className="kw-dim">–</span>;
  const text = durationText((now - Date.parse(since)) / 1000, t);
  return <time dateTime={since} title={fullTime(since, i18n.language)} className="kw-num">{text}</time>;
}

// At tells when something was, by the clock.
export function At({ time }: { time: string | null | undefined }) {
  const { t, i18n } = useTranslation();
  const now = useNow(60);
  if (!time) return <span className="kw-dim">{t("time.never")}</span>;
  return <time dateTime={time} title={fullTime(time, i18n.language)} className="kw-num">{shortTime(time, now, i18n.language)}</time>;
}

// After this many seconds without a sample, something that reports every 15 s is stale.
export const staleAfter = 60;

export const ageSeconds = (at: string | null, now: number) => (at === null ? Infinity : (now - Date.parse(at)) / 1000);
