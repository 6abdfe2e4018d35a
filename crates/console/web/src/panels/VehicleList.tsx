/** The vehicles with how they stand now. */

import { useMemo, useState } from "react";
import { MOTIONS, type Vehicle } from "../api/types";
import { number, plate, time } from "../format";
import { useTranslator } from "../i18n";
import { fleet } from "../state/fleet";
import { go, route } from "../state/route";
import { useStore } from "../state/store";
import { setFilter } from "../state/violations";
import { walkRows } from "./Lists";

/** Rows drawn at most; the search finds the others. */
const MAX_ROWS = 500;

export function VehicleList({ onViolations }: { onViolations: () => void }) {
  const t = useTranslator();
  const vehicles = useStore(fleet);
  const at = useStore(route);
  const [text, setText] = useState("");
  const found = useMemo(() => search(vehicles.values(), text), [vehicles, text]);
  const chosen = at.at === "vehicle" ? at.id : null;
  const nothing = vehicles.size === 0 ? "list.noVehicles" : "list.noMatch";
  return (
    <>
      <div className="filters">
        <input
          type="search"
          className="wide"
          placeholder={t("filter.search")}
          aria-label={t("filter.search")}
          value={text}
          onChange={(e) => setText(e.target.value)}
        />
      </div>
      <p className="shown">
        {MOTIONS.map((m) => (
          <span key={m} className="motion" data-motion={m}>
            {t(`motion.${m}`)} {count(vehicles.values(), m)}
          </span>
        ))}
      </p>
      <ul className="rows" onKeyDown={walkRows}>
        {found.slice(0, MAX_ROWS).map((v) => (
          <li key={v.id} className="pair">
            <button
              type="button"
              className="row"
              aria-current={v.id === chosen || undefined}
              onClick={() => go({ at: "vehicle", id: v.id })}
            >
              <span className="row-head">
                <b className="plate">{plate(v.vehicle) || v.source || v.id}</b>
                <span className="motion" data-motion={v.status}>
                  {t(`motion.${v.status}`)}
                </span>
                <span className="grow-left">
                  {v.status === "moving" && v.speed_kmh !== null
                    ? `${number(t, v.speed_kmh)} km/h`
                    : ""}
                </span>
              </span>
              <span className="row-foot">
                <span className="muted">{v.operator_name ?? v.operator ?? v.source}</span>
                <span className="muted">{v.time ? time(v.time) : ""}</span>
              </span>
            </button>
            <button
              type="button"
              className="quiet side"
              title={t("vehicle.violations")}
              aria-label={`${t("vehicle.violations")}: ${plate(v.vehicle)}`}
              onClick={() => {
                void setFilter({ vehicle: v.id });
                onViolations();
              }}
            >
              !
            </button>
          </li>
        ))}
        {found.length === 0 && <li className="empty">{t(nothing)}</li>}
      </ul>
    </>
  );
}

function count(vehicles: Iterable<Vehicle>, status: Vehicle["status"]): number {
  let n = 0;
  for (const v of vehicles) if (v.status === status) n += 1;
  return n;
}

function search(vehicles: Iterable<Vehicle>, text: string): Vehicle[] {
  const wanted = text.trim().toLowerCase();
  const bare = wanted.replace(/[^0-9a-z]/g, "");
  const fits = (v: Vehicle) =>
    !wanted ||
    [v.vehicle, v.id, v.source].some((f) => bare && f?.toLowerCase().includes(bare)) ||
    (v.operator_name ?? v.operator ?? "").toLowerCase().includes(wanted);
  const name = (v: Vehicle) => v.vehicle ?? v.id;
  return [...vehicles].filter(fits).sort((a, b) => (name(a) < name(b) ? -1 : 1));
}
