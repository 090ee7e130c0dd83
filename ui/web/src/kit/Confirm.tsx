import { Button, Modal } from "@mantine/core";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

type Props = {
  title: string;
  children: ReactNode; // what will happen, and to how many
  action: string;
  busy: boolean;
  error?: ReactNode;
  onConfirm: () => void;
  onClose: () => void;
};

// Confirm asks once, before something that cannot be undone.
export function Confirm({ title, children, action, busy, error, onConfirm, onClose }: Props) {
  const { t } = useTranslation();
  return (
    <Modal opened onClose={onClose} title={title} closeButtonProps={{ "aria-label": t("action.close") }}>
      <div className="kw-stack">
        <div>{children}</div>
        {error}
        <div className="kw-actions">
          <Button variant="default" onClick={onClose} data-autofocus>{t("action.cancel")}</Button>
          <Button color="red" loading={busy} onClick={onConfirm}>{action}</Button>
        </div>
      </div>
    </Modal>
  );
}
