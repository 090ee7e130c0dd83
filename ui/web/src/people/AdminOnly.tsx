import { Button } from "@mantine/core";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { useMay } from "../app/session";
import { PeopleIcon } from "../kit/icons";
import { Empty, Page } from "../kit/Page";

// AdminOnly says to others who may see the page; what is inside asks the server nothing until then.
export function AdminOnly({ name, children }: { name: string; children: ReactNode }) {
  const { t } = useTranslation();
  if (useMay("admin")) return children;
  return (
    <Page title={name} name={name}>
      <Empty icon={<PeopleIcon />} action={<Button component={Link} to="/" variant="default">{t("notFound.home")}</Button>}>{t("users.adminOnly")}</Empty>
    </Page>
  );
}
