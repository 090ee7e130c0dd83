// The history of failover, newest first: who became what, when, and why.
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { Event, InstanceState } from "../api/types";
import { Empty } from "../kit/Page";
import { hostPath } from "../kit/path";
import { InstanceMark } from "../kit/state";
import { Ago, At } from "../kit/time";

const states = new Set(["init", "backup", "master", "fault"]);
const asState = (text: string | undefined): InstanceState =>
  states.has(text?.toLowerCase() ?? "") ? (text!.toLowerCase() as InstanceState) : "unknown";

export function TransitionList({ transitions }: { transitions: Event[] }) {
  const { t } = useTranslation();
  if (transitions.length === 0) return <Empty>{t("ha.noTransitions")}</Empty>;
  return (
    <ol className="kw-transitions">
      {transitions.map((event) => (
        <li key={`${event.cluster}/${event.host}/${event.id}`}>
          <span className="kw-transition-time"><At time={event.time} /></span>
          <div>
            <div className="kw-line">
              <Link to={hostPath(event.cluster, event.host)}>{event.host}</Link>
              <span>{event.labels.instance}</span>
              <span className="kw-line kw-transition-change">
                <span className="kw-dim">{t(`instance.${asState(event.labels.from)}`)}</span> → <InstanceMark state={asState(event.labels.to)} />
              </span>
              <span className="kw-dim kw-small kw-transition-age"><Ago at={event.time} /></span>
            </div>
            <div className="kw-small kw-dim">{event.labels.reason || event.text}</div>
          </div>
        </li>
      ))}
    </ol>
  );
}
