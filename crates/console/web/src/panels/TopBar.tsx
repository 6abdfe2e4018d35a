/** Name, language, light or dark, the way out. */

import { chooseLanguage, useTranslator } from "../i18n";
import { chooseTheme, entry, leave, theme } from "../state/app";
import { useStore } from "../state/store";
import { Icon } from "./Icon";

export function TopBar() {
  const t = useTranslator();
  const state = useStore(entry);
  const worn = useStore(theme);
  return (
    <header className="top">
      <a className="skip" href="#list">
        {t("app.skip")}
      </a>
      <img src="/icon.svg" alt="" width="22" height="22" />
      <strong>{t("app.title")}</strong>
      <span className="muted">{t("app.subtitle")}</span>
      <span className="grow" />
      <div className="switch" role="group" aria-label={t("app.language")}>
        {(["vi", "en"] as const).map((l) => (
          <button
            key={l}
            type="button"
            lang={l}
            aria-pressed={t.language === l}
            onClick={() => chooseLanguage(l)}
          >
            {l === "vi" ? "Tiếng Việt" : "English"}
          </button>
        ))}
      </div>
      <button
        type="button"
        className="quiet"
        title={t("app.theme")}
        aria-label={t("app.theme")}
        onClick={() => chooseTheme(worn === "dark" ? "light" : "dark")}
      >
        <Icon name={worn === "dark" ? "sun" : "moon"} />
      </button>
      {state === "in" && (
        <button
          type="button"
          className="quiet"
          title={t("app.signOut")}
          aria-label={t("app.signOut")}
          onClick={() => void leave()}
        >
          <Icon name="out" />
        </button>
      )}
    </header>
  );
}
