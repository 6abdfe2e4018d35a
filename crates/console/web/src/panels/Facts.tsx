/** The figures of a violation: limit, what was measured, how the excess comes about, by which law. */

import type { Kind, ViolationDetail } from "../api/types";
import { distance, duration, kmh, number, tolerance } from "../format";
import { type Key, type Translator, useTranslator } from "../i18n";
import { fleet } from "../state/fleet";
import { useStore } from "../state/store";
import { Fact } from "./parts";

export function Facts({ v }: { v: ViolationDetail }) {
  const t = useTranslator();
  const operator = useOperator(v);
  return (
    <>
      <dl className="facts">
        {v.rule && <Fact name={t("detail.rule")}>{t.code("rule", v.rule)}</Fact>}
        <Speed v={v} t={t} />
        <Time v={v} t={t} />
        <Way v={v} t={t} />
      </dl>
      <dl className="facts quiet-facts">
        <Fact name={t("detail.driver")}>{v.driver_id}</Fact>
        <Fact name={t("detail.operator")}>{operator}</Fact>
        <Fact name={t("detail.device")}>{v.source}</Fact>
        <Fact name={t("detail.law")}>
          {v.profile} ({t("detail.version", { n: v.profile_version })})
        </Fact>
        <Fact name={t("detail.evidence")}>
          <Evidence v={v} t={t} />
        </Fact>
      </dl>
    </>
  );
}

function Speed({ v, t }: { v: ViolationDetail; t: Translator }) {
  const average = v.figures.max_average_speed_kmh;
  const allowance = tolerance(v);
  if (v.limit_kmh === null) return null;
  const source = v.limit_source && t.code("limit", v.limit_source);
  return (
    <>
      <Fact name={t("detail.limit")}>
        <b>{kmh(t, v.limit_kmh)}</b>{" "}
        <span className="muted">
          {source} {v.figures.object}
        </span>
      </Fact>
      <Fact name={t("detail.average")}>{average !== null && kmh(t, average)}</Fact>
      <Fact name={t("detail.excess")}>
        {v.max_excess_kmh !== null && <b className="over">{kmh(t, v.max_excess_kmh)}</b>}{" "}
        {v.band && (
          <span className="muted">
            ({t("detail.band").toLowerCase()} {v.band})
          </span>
        )}
        {allowance !== null && average !== null && v.max_excess_kmh !== null && (
          <span className="working">
            {t("detail.working", {
              average: number(t, average, 2),
              tolerance: number(t, allowance, 2),
              limit: number(t, v.limit_kmh, 2),
              excess: number(t, v.max_excess_kmh, 2),
            })}
          </span>
        )}
      </Fact>
    </>
  );
}

function Time({ v, t }: { v: ViolationDetail; t: Translator }) {
  const length = duration(t, v.duration_s);
  if (v.limit_s === null) return <Fact name={t("detail.duration")}>{length}</Fact>;
  return (
    <>
      <Fact name={t("detail.limitTime")}>
        <b>{duration(t, v.limit_s)}</b>
      </Fact>
      <Fact name={t("detail.driven")}>
        <b className="over">
          {v.figures.lower_bound ? t("detail.atLeast", { time: length }) : length}
        </b>
      </Fact>
    </>
  );
}

/** What a violation's object is, where it does not stand beside the limit. */
const OBJECTS: Partial<Record<Kind, Key>> = {
  route_deviation: "detail.route",
  card_in_two_vehicles: "detail.otherVehicle",
  unregistered_stop: "detail.route",
  forbidden_zone: "detail.zone",
};

function Way({ v, t }: { v: ViolationDetail; t: Translator }) {
  const { max_offset_m: offset, object } = v.figures;
  const of = OBJECTS[v.kind];
  const name = v.kind === "transmission_gap" ? "detail.gapDistance" : "detail.distance";
  return (
    <>
      {of && object && <Fact name={t(of)}>{object}</Fact>}
      {offset !== null && (
        <Fact name={t("detail.offset")}>
          <b className="over">{distance(t, offset / 1000)}</b>
        </Fact>
      )}
      <Fact name={t(name)}>{v.distance_km !== null && distance(t, v.distance_km)}</Fact>
    </>
  );
}

function Evidence({ v, t }: { v: ViolationDetail; t: Translator }) {
  if (!v.evidence) return <span className="muted">{t("detail.noEvidence")}</span>;
  const { records, frames, complete } = v.evidence.body;
  return (
    <>
      {t("detail.records", { records: records.length, frames: frames.length })}
      {!complete && <span className="over"> · {t("detail.incomplete")}</span>}
      <code title={`SHA-256 ${v.evidence.sha256}`}>{v.evidence.sha256.slice(0, 16)}…</code>
    </>
  );
}

/** The operator's name, where a vehicle of his is known. */
function useOperator(v: ViolationDetail): string | null {
  const vehicles = useStore(fleet);
  const own = v.vehicle_id ? vehicles.get(v.vehicle_id) : undefined;
  if (own?.operator === v.operator && own?.operator_name) return own.operator_name;
  return v.operator;
}
