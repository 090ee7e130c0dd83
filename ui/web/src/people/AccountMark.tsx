import { useTranslation } from "react-i18next";
import { OffIcon, OkIcon } from "../kit/icons";
import { Mark } from "../kit/state";

export function AccountMark({ disabled }: { disabled: boolean }) {
  const { t } = useTranslation();
  if (disabled) return <Mark look={{ icon: OffIcon, tone: "quiet" }} word={t("users.disabled")} />;
  return <Mark look={{ icon: OkIcon, tone: "ok" }} word={t("users.active")} />;
}
