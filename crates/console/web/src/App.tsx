/** The page: lists on the left, the map, what is chosen on the right, the state at the foot. */

import { useEffect } from "react";
import { useTranslator } from "./i18n";
import { MapPane } from "./map/MapPane";
import { Lists } from "./panels/Lists";
import { StatusBar } from "./panels/StatusBar";
import { TopBar } from "./panels/TopBar";
import { VehiclePanel } from "./panels/VehiclePanel";
import { ViolationPanel } from "./panels/ViolationPanel";
import { enter, entry, keepUp, session } from "./state/app";
import { go, route } from "./state/route";
import { useStore } from "./state/store";

export function App() {
  const state = useStore(entry);
  return (
    <div className="app">
      <TopBar />
      {state === "in" ? <Desk /> : <Notice />}
    </div>
  );
}

function Desk() {
  const at = useStore(route);
  useEffect(keepUp, []);
  useEffect(() => {
    const back = (e: KeyboardEvent) => {
      if (e.key === "Escape" && !e.defaultPrevented) go({ at: "home" });
    };
    window.addEventListener("keydown", back);
    return () => window.removeEventListener("keydown", back);
  }, []);
  return (
    <>
      <main className="desk" data-chosen={at.at !== "home"}>
        <Lists />
        <MapPane />
        {at.at === "violation" && <ViolationPanel key={at.id} id={at.id} />}
        {at.at === "vehicle" && <VehiclePanel key={at.id} id={at.id} />}
      </main>
      <StatusBar />
    </>
  );
}

function Notice() {
  const t = useTranslator();
  const state = useStore(entry);
  const role = useStore(session)?.role ?? "";
  return (
    <main className="notice" aria-busy={state === "loading"}>
      {state === "loading" && <p>{t("app.loading")}</p>}
      {state === "out" && (
        <>
          <h1>{t("signin.title")}</h1>
          <p>{t("signin.text")}</p>
        </>
      )}
      {state === "forbidden" && <p>{t("signin.forbidden", { role })}</p>}
      {state === "failed" && (
        <>
          <p>{t("error.no_answer")}</p>
          <button type="button" onClick={() => void enter()}>
            {t("app.retry")}
          </button>
        </>
      )}
    </main>
  );
}
