import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { HostDetail } from "../api/types";
import { figure } from "../charts/units";
import { Meter } from "../kit/Meter";
import { Lasting } from "../kit/time";

// Facts is what a host is: system, size, filesystems, interfaces.
export function Facts({ detail }: { detail: HostDetail }) {
  const { t } = useTranslation();
  const { host, names, facts, filesystems, interfaces } = detail;
  const others = names.filter((one) => one.name !== host.name);
  const rest = Object.entries(facts).filter(([name, text]) => name !== "boot_time" && text);
  return (
    <div className="kw-host-facts">
      <dl className="kw-facts">
        <Fact name={t("hosts.sources")}>{host.sources.join(", ") || "–"}</Fact>
        {others.length > 0 && (
          <Fact name={t("hosts.alsoKnownAs")}>
            {others.map((one, i) => (
              <span key={one.name} title={t("hosts.nameFrom", { source: one.source, rule: one.rule })}>{i > 0 && ", "}{one.name} <span className="kw-dim">({one.source})</span></span>
            ))}
          </Fact>
        )}
        {host.cpus !== null && <Fact name={t("hosts.cpus")}>{host.cpus}</Fact>}
        {facts.boot_time && <Fact name={t("hosts.uptime")}><Lasting since={facts.boot_time} /></Fact>}
        {rest.map(([name, text]) => <Fact key={name} name={name}>{text}</Fact>)}
      </dl>
      {filesystems.length > 0 && (
        <ul className="kw-plain" aria-label={t("hosts.filesystems")}>
          {filesystems.map((fs) => (
            <li key={fs.mountpoint} title={fs.device}>
              <span className="kw-clip kw-grow">{fs.mountpoint}</span>
              <Meter ratio={fs.used_ratio} />
              <span className="kw-dim kw-num">{t("hosts.of", { size: figure(fs.size, "bytes") })}</span>
            </li>
          ))}
        </ul>
      )}
      {interfaces.length > 0 && (
        <ul className="kw-plain" aria-label={t("hosts.interfaces")}>
          {interfaces.map((one) => (
            <li key={one.device}>
              <span className="kw-clip kw-grow">{one.device}</span>
              <span className={one.up ? undefined : "kw-dim"}>{one.up ? t("updown.up") : t("updown.down")}</span>
              <span className="kw-dim kw-num">{one.speed ? figure(one.speed * 8, "bits/s") : ""}</span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return <><dt>{name}</dt><dd>{children}</dd></>;
}
