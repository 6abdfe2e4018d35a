/** What somebody on duty should look at now, the newest first. */

import type { Alert } from "../api/types";
import { ago, alertMeasure, day, plate, time } from "../format";
import { type Translator, useTranslator } from "../i18n";
import { alerts } from "../state/alerts";
import { go, route } from "../state/route";
import { useStore } from "../state/store";
import { walkRows } from "./Lists";

export function AlertList() {
  const t = useTranslator();
  const now = useStore(alerts);
  const at = useStore(route);
  const chosen = at.at === "vehicle" ? at.id : null;
  if (!now) return <p className="shown">{t("app.loading")}</p>;
  const { items, more } = now;
  return (
    <>
      <p className="shown" aria-live="polite">
        {t(more ? "alerts.shownMore" : "alerts.shown", { n: items.length })}
      </p>
      <ul className="rows" onKeyDown={walkRows}>
        {items.map((a) => (
          <Row key={a.id} a={a} t={t} chosen={a.vehicle_id !== null && a.vehicle_id === chosen} />
        ))}
        {items.length === 0 && <li className="empty">{t("alerts.none")}</li>}
      </ul>
    </>
  );
}

function Row({ a, t, chosen }: { a: Alert; t: Translator; chosen: boolean }) {
  const vehicle = a.vehicle_id ?? (a.source && `source:${a.source}`);
  return (
    <li>
      <button
        type="button"
        className="row"
        data-alert={a.kind}
        aria-current={chosen || undefined}
        disabled={!vehicle}
        onClick={() => vehicle && go({ at: "vehicle", id: vehicle })}
      >
        <span className="row-head">
          <b className="plate">{plate(a.vehicle) || a.driver_id || a.source}</b>
          <span>{t.code("alert", a.kind)}</span>
          <time className="grow-left" dateTime={a.raised}>
            <span className="muted">{day(a.raised)}</span> {time(a.raised, false)}
          </time>
        </span>
        <span className="row-foot">
          <span className="measure">{alertMeasure(t, a)}</span>
          <span className="muted">{ago(t, a.raised, Date.now())}</span>
        </span>
      </button>
    </li>
  );
}
