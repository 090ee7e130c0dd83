// The languages. A language's words are loaded when they are first needed; en is what a missing word falls back to,
// and the check of the build sees to it that none is missing.
import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import { readSetting, writeSetting } from "../api/memory";

export type Spoken = "en" | "zh";

const words: Record<Spoken, () => Promise<{ default: object }>> = {
  en: () => import("./en.json"),
  zh: () => import("./zh.json"),
};

const tags: Record<Spoken, string> = { en: "en", zh: "zh-CN" };

export function preferred(): Spoken {
  const kept = readSetting("language");
  if (kept === "en" || kept === "zh") return kept;
  return /^zh/i.test(navigator.language) ? "zh" : "en";
}

async function load(language: Spoken) {
  const made = await words[language]();
  i18next.addResourceBundle(language, "translation", made.default);
}

export async function speak(language: Spoken) {
  if (!i18next.hasResourceBundle(language, "translation")) await load(language);
  await i18next.changeLanguage(language);
  document.documentElement.lang = tags[language];
  writeSetting("language", language);
}

export async function startLanguage() {
  await i18next.use(initReactI18next).init({
    resources: {},
    keySeparator: false,
    nsSeparator: false,
    interpolation: { escapeValue: false },
    react: { useSuspense: false },
  });
  const language = preferred();
  await load(language);
  await i18next.changeLanguage(language);
  document.documentElement.lang = tags[language];
}
