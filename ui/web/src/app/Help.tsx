import { Kbd, Modal } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { places } from "./places";
import { useMay } from "./session";

function Row({ keys, word }: { keys: string[]; word: string }) {
  return (
    <>
      <dt>{keys.map((key) => <Kbd key={key}>{key}</Kbd>)}</dt>
      <dd>{word}</dd>
    </>
  );
}

export function Help({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const admin = useMay("admin");
  const operator = useMay("operator");
  return (
    <Modal opened onClose={onClose} title={t("help.title")} size="lg" closeButtonProps={{ "aria-label": t("action.close") }}>
      <div className="kw-help">
        <section>
          <h2>{t("help.go")}</h2>
          <dl>
            {places.filter((place) => place.role !== "admin" || admin).map((place) => (
              <Row key={place.to} keys={["g", place.key]} word={t(place.word)} />
            ))}
          </dl>
        </section>
        <section>
          <h2>{t("help.anywhere")}</h2>
          <dl>
            <Row keys={["/"]} word={t("help.search")} />
            <Row keys={["?"]} word={t("help.help")} />
          </dl>
          <h2>{t("help.lists")}</h2>
          <dl>
            <Row keys={["j"]} word={t("help.down")} />
            <Row keys={["k"]} word={t("help.up")} />
            <Row keys={["Enter"]} word={t("help.open")} />
            {operator && <Row keys={["a"]} word={t("help.acknowledge")} />}
            <Row keys={["f"]} word={t("help.filter")} />
          </dl>
          <h2>{t("help.charts")}</h2>
          <p className="kw-small">{t("help.chartsText")}</p>
        </section>
      </div>
    </Modal>
  );
}
