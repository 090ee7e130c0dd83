// A test message, followed until it has gone out or has failed, with the reason.
import { Button } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { useChannels, useNotification, useTestContact } from "../api/queries";
import type { Channel, Contact } from "../api/types";
import { Trouble } from "../kit/Page";
import { MessageMark } from "./MessageTable";

export function TestSend({ contact }: { contact: Contact }) {
  const { t } = useTranslation();
  return (
    <div className="kw-stack kw-fields-wide">
      <p className="kw-dim kw-small">{t("contacts.testText")}</p>
      <OneTest contact={contact} channel="mail" to={contact.email} />
      <OneTest contact={contact} channel="sms" to={contact.phone} />
    </div>
  );
}

function OneTest({ contact, channel, to }: { contact: Contact; channel: Channel; to: string }) {
  const { t } = useTranslation();
  const test = useTestContact();
  const channels = useChannels().data;
  const message = useNotification(test.data?.id ?? null).data ?? test.data;
  const why = to === "" ? t(`contacts.no_${channel}`) : channels && !channels[channel].configured ? channels[channel].why : "";
  const under = message && (message.status === "queued" || message.status === "sending");
  return (
    <div className="kw-test">
      <Button
        variant="default"
        disabled={why !== ""}
        loading={test.isPending || under}
        onClick={() => test.mutate({ id: contact.id, channel })}
      >
        {t(`contacts.test_${channel}`)}
      </Button>
      <div className="kw-grow" role="status">
        {why !== "" && <span className="kw-dim kw-small">{why}</span>}
        {why === "" && !message && !test.error && <span className="kw-dim kw-small kw-num">{to}</span>}
        {message && (
          <span className="kw-line">
            <MessageMark status={message.status} />
            <span className="kw-small kw-dim kw-num">{message.recipient}</span>
            {message.last_error && message.status !== "sent" && <span className="kw-small" data-tone="critical">{t("message.error", { n: message.tries, error: message.last_error })}</span>}
          </span>
        )}
        {test.error && <Trouble error={test.error} />}
      </div>
    </div>
  );
}
