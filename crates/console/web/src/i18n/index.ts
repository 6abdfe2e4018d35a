/** The page's languages: Vietnamese first, English by a switch; the choice stays in the browser. */

import { Store, useStore } from "../state/store";
import { en } from "./en";
import { vi } from "./vi";

export type Language = "vi" | "en";
export type Key = keyof typeof vi;
export type Values = Record<string, string | number>;

const TEXTS: Record<Language, Record<Key, string>> = { vi, en };
const CHOICE = "waywarden.language";

export const language = new Store<Language>("vi");

/** The choice made in this browser, else what the server says. */
export function startLanguage(ofServer: string | undefined): void {
  const chosen = localStorage.getItem(CHOICE) ?? ofServer;
  show(chosen === "en" ? "en" : "vi");
}

export function chooseLanguage(to: Language): void {
  localStorage.setItem(CHOICE, to);
  show(to);
}

function show(to: Language): void {
  document.documentElement.lang = to;
  language.set(to);
}

/** The text of a key with its `{names}` filled in. */
export function translate(to: Language, key: Key, values: Values = {}): string {
  return TEXTS[to][key].replace(/\{(\w+)\}/g, (all, name: string) => String(values[name] ?? all));
}

/** The text of a code that a newer server may have and this page not: the code itself then. */
export function translateCode(to: Language, group: string, code: string): string {
  const key = `${group}.${code}`;
  return key in TEXTS[to] ? TEXTS[to][key as Key] : code;
}

export interface Translator {
  (key: Key, values?: Values): string;
  code(group: string, code: string): string;
  language: Language;
}

export function translator(to: Language): Translator {
  const t = (key: Key, values?: Values) => translate(to, key, values);
  return Object.assign(t, {
    code: (group: string, code: string) => translateCode(to, group, code),
    language: to,
  });
}

const TRANSLATORS = { vi: translator("vi"), en: translator("en") };

export function useTranslator(): Translator {
  return TRANSLATORS[useStore(language)];
}
