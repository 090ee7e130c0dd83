// Saved views: filters that this reader comes back to, kept in the browser.
import { Button, CloseButton, Menu } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { readSetting, writeSetting } from "../api/memory";

function read(): string[] {
  try {
    const kept: unknown = JSON.parse(readSetting("views") ?? "[]");
    return Array.isArray(kept) ? kept.filter((view) => typeof view === "string") : [];
  } catch {
    return [];
  }
}

export function Views({ text, onChoose }: { text: string; onChoose: (text: string) => void }) {
  const { t } = useTranslation();
  const [views, setViews] = useState(read);
  const keep = (next: string[]) => {
    setViews(next);
    writeSetting("views", JSON.stringify(next));
  };
  const wanted = text.trim();
  return (
    <Menu position="bottom-end" width={280}>
      <Menu.Target>
        <Button variant="default">{t("views.title")}</Button>
      </Menu.Target>
      <Menu.Dropdown>
        {views.map((view) => (
          <Menu.Item
            key={view}
            component="div"
            onClick={() => onChoose(view)}
            rightSection={
              <CloseButton
                size="sm"
                aria-label={t("views.remove", { view })}
                onClick={(event) => {
                  event.stopPropagation();
                  keep(views.filter((v) => v !== view));
                }}
              />
            }
          >
            <code>{view}</code>
          </Menu.Item>
        ))}
        {views.length === 0 && <Menu.Label>{t("views.none")}</Menu.Label>}
        <Menu.Divider />
        <Menu.Item disabled={wanted === "" || views.includes(wanted)} onClick={() => keep([...views, wanted])}>
          {wanted === "" ? t("views.saveNothing") : t("views.save", { view: wanted })}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
