import { Button } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { Empty, Page } from "../kit/Page";

export function NotFound() {
  const { t } = useTranslation();
  return (
    <Page title={t("notFound.title")} name={t("notFound.title")}>
      <Empty action={<Button component={Link} to="/" variant="default">{t("notFound.home")}</Button>}>{t("notFound.text")}</Empty>
    </Page>
  );
}

// Lost is shown when a page failed to load or broke while drawing: most often a new version was installed meanwhile.
export function Lost() {
  const { t } = useTranslation();
  return (
    <main className="kw-lost">
      <Empty action={<Button onClick={() => location.reload()}>{t("lost.reload")}</Button>}>{t("lost.text")}</Empty>
    </main>
  );
}
