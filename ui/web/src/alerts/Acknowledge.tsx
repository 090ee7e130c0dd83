// Taking an alert on: with a word for the others, undone by one click.
import { Button, Modal, Textarea } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useAcknowledge } from "../api/queries";
import type { Alert } from "../api/types";
import { Trouble } from "../kit/Page";
import { toast } from "../kit/toast";

export function AcknowledgeDialog({ alert, onClose }: { alert: Alert; onClose: () => void }) {
  const { t } = useTranslation();
  const [comment, setComment] = useState("");
  const acknowledge = useAcknowledge();
  const undo = useAcknowledge();
  const done = () => {
    toast({
      text: t("alert.acknowledgedDone", { rule: alert.rule_name, host: alert.host }),
      undo: () => undo.mutate({ id: alert.id, comment: null }),
    });
    onClose();
  };
  return (
    <Modal opened onClose={onClose} title={t("alert.acknowledgeTitle")} closeButtonProps={{ "aria-label": t("action.close") }}>
      <form
        className="kw-stack"
        onSubmit={(event) => {
          event.preventDefault();
          acknowledge.mutate({ id: alert.id, comment: comment.trim() }, { onSuccess: done });
        }}
      >
        <p>{t("alert.acknowledgeText", { rule: alert.rule_name, host: alert.host })}</p>
        <Textarea label={t("alert.comment")} placeholder={t("alert.commentExample")} value={comment} onChange={(e) => setComment(e.currentTarget.value)} data-autofocus maxLength={500} rows={3} />
        {acknowledge.error && <Trouble error={acknowledge.error} />}
        <div className="kw-actions">
          <Button variant="default" onClick={onClose}>{t("action.cancel")}</Button>
          <Button type="submit" loading={acknowledge.isPending}>{t("action.acknowledge")}</Button>
        </div>
      </form>
    </Modal>
  );
}

// useAcknowledging gives lists their acknowledge action and the dialog that it opens.
export function useAcknowledging() {
  const [alert, setAlert] = useState<Alert | null>(null);
  return {
    open: (wanted: Alert) => {
      if (wanted.acknowledged_by === null && wanted.state !== "ok") setAlert(wanted);
    },
    dialog: alert && <AcknowledgeDialog alert={alert} onClose={() => setAlert(null)} />,
  };
}
