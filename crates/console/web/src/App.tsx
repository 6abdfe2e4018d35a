/** The page: lists on the left, the map, what is chosen on the right, the state at the foot. */

import { type FormEvent, useEffect, useState } from "react";
import { ApiError, api } from "./api/client";
import { useTranslator } from "./i18n";
import { MapPane } from "./map/MapPane";
import { Lists } from "./panels/Lists";
import { StatusBar } from "./panels/StatusBar";
import { TopBar } from "./panels/TopBar";
import { told } from "./panels/parts";
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

/** With one's own token: what is decided is signed by its name. */
function SignIn() {
  const t = useTranslator();
  const [token, setToken] = useState("");
  const [problem, setProblem] = useState("");
  const submit = async (e: FormEvent) => {
    e.preventDefault();
    setProblem("");
    try {
      await api.signIn(token.trim());
      await enter();
    } catch (error) {
      const refused = error instanceof ApiError && error.status === 401;
      setProblem(refused ? t("signin.refused") : told(t, error));
    }
  };
  return (
    <form className="signin" onSubmit={(e) => void submit(e)}>
      <label>
        {t("signin.token")}
        <input
          type="password"
          autoComplete="current-password"
          value={token}
          onChange={(e) => setToken(e.target.value)}
        />
      </label>
      <button type="submit" disabled={!token.trim()}>
        {t("signin.enter")}
      </button>
      <p className="over" role="alert">
        {problem}
      </p>
    </form>
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
          <SignIn />
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
