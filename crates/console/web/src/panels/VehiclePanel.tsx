/** One vehicle: how it stands, its last hours on the map, the way to its violations. */

import { useEffect, useState } from "react";
import type { Vehicle } from "../api/types";
import { dayTime, kmh, plate } from "../format";
import { useTranslator } from "../i18n";
import { shown } from "../state/app";
import { fleet } from "../state/fleet";
import { useStore } from "../state/store";
import { type Read, readTracks } from "../state/tracks";
import { setFilter } from "../state/violations";
import { SpeedChart } from "./SpeedChart";
import { CloseButton } from "./ViolationPanel";
import { Fact, Failure } from "./parts";

const HOUR_MS = 3_600_000;
const CHOICES = [1, 4, 24] as const;

export function VehiclePanel({ id }: { id: string }) {
  const t = useTranslator();
  const v = useStore(fleet).get(id);
  return (
    <aside className="detail" aria-labelledby="detail-title">
      <header>
        <div>
          <h2 id="detail-title" className="plate big">
            {plate(v?.vehicle ?? null) || v?.source || id}
          </h2>
          {v && (
            <p className="motion" data-motion={v.status}>
              {t(`motion.${v.status}`)}
              {v.held && ` · ${t("motion.held")}`}
            </p>
          )}
        </div>
        <span className="grow" />
        <CloseButton />
      </header>
      <LastHours id={id} />
      {v && <About v={v} />}
      <button type="button" onClick={() => void setFilter({ vehicle: id })}>
        {t("vehicle.violations")}
      </button>
    </aside>
  );
}

function About({ v }: { v: Vehicle }) {
  const t = useTranslator();
  const ignition = v.ignition === null ? null : t(v.ignition ? "vehicle.on" : "vehicle.off");
  return (
    <dl className="facts">
      <Fact name={t("vehicle.speed")}>{v.speed_kmh !== null && <b>{kmh(t, v.speed_kmh)}</b>}</Fact>
      <Fact name={t("vehicle.lastFix")}>
        {v.time ? dayTime(v.time) : t("vehicle.noPosition")}
      </Fact>
      <Fact name={t("vehicle.received")}>{v.received && dayTime(v.received)}</Fact>
      <Fact name={t("vehicle.ignition")}>{ignition}</Fact>
      <Fact name={t("vehicle.class")}>{v.class && t.code("class", v.class)}</Fact>
      <Fact name={t("vehicle.transport")}>{v.transport && t.code("transport", v.transport)}</Fact>
      <Fact name={t("detail.operator")}>{v.operator_name ?? v.operator}</Fact>
      <Fact name={t("detail.driver")}>{v.driver_id}</Fact>
      <Fact name={t("detail.device")}>{v.source}</Fact>
    </dl>
  );
}

function LastHours({ id }: { id: string }) {
  const t = useTranslator();
  const [hours, setHours] = useState<(typeof CHOICES)[number]>(1);
  const [read, setRead] = useState<Read | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    let gone = false;
    const end = Date.now();
    const track = { vehicle: id, start: end - hours * HOUR_MS, end };
    setError(null);
    readTracks([track], "operations").then(
      (r) => {
        if (gone) return;
        setRead(r);
        shown.set({ points: r.points, violation: null, joinGaps: false });
      },
      (e) => !gone && setError(e),
    );
    return () => {
      gone = true;
    };
  }, [id, hours]);
  useEffect(() => () => shown.set(null), []);
  return (
    <section className="speeds-box">
      <div className="switch" role="group" aria-label={t("filter.period")}>
        {CHOICES.map((n) => (
          <button key={n} type="button" aria-pressed={n === hours} onClick={() => setHours(n)}>
            {t("vehicle.lastHours", { n })}
          </button>
        ))}
      </div>
      {error !== null && <Failure error={error} />}
      {read && <SpeedChart points={read.points} violation={null} limit={null} />}
    </section>
  );
}
