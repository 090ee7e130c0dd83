import { ActionIcon, Tooltip, useMantineColorScheme } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { speak, type Spoken } from "../i18n";
import { AutoIcon, DarkIcon, LightIcon } from "../kit/icons";

const schemes = [
  { name: "auto", icon: AutoIcon },
  { name: "light", icon: LightIcon },
  { name: "dark", icon: DarkIcon },
] as const;

// SchemeSwitch goes round: as the system, light, dark.
export function SchemeSwitch() {
  const { t } = useTranslation();
  const { colorScheme, setColorScheme } = useMantineColorScheme({ keepTransitions: true });
  const at = schemes.findIndex((s) => s.name === colorScheme);
  const { name, icon: Icon } = schemes[at] ?? schemes[0];
  const next = schemes[(at + 1) % schemes.length] ?? schemes[0];
  const word = t("scheme.label", { scheme: t(`scheme.${name}`) });
  return (
    <Tooltip label={word}>
      <ActionIcon variant="default" size="md" aria-label={word} onClick={() => setColorScheme(next.name)}><Icon /></ActionIcon>
    </Tooltip>
  );
}

const languages: { name: Spoken; word: string; short: string; lang: string }[] = [
  { name: "en", word: "English", short: "EN", lang: "en" },
  { name: "zh", word: "中文", short: "中", lang: "zh-CN" },
];

// LanguageSwitch names the languages in themselves: who needs the other one may not read this one.
export function LanguageSwitch() {
  const { i18n } = useTranslation();
  return (
    <span className="kw-languages" role="group" aria-label="Language / 语言">
      {languages.map(({ name, word, short, lang }) => (
        <button type="button" key={name} lang={lang} data-short={short} aria-pressed={i18n.language === name} onClick={() => void speak(name)}>{word}</button>
      ))}
    </span>
  );
}
