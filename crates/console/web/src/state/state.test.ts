import { describe, expect, it } from "vitest";
import type { LivePosition, Vehicle, Violation } from "../api/types";
import { withPositions } from "./fleet";
import { parse, path } from "./route";
import { fits, merged } from "./violations";

const NOW = Date.parse("2026-11-27T12:00:00Z");
const all = { kind: "", status: "", vehicle: "", period: "day" } as const;

function violation(id: string, minutesAgo: number, more: Partial<Violation> = {}): Violation {
  const start = new Date(NOW - minutesAgo * 60_000).toISOString();
  const base = { id, kind: "overspeed", status: "new", vehicle: "14C01001", vehicle_id: "V1" };
  return { ...base, start, end: start, revision: 1, open: false, ...more } as Violation;
}

describe("the list of violations", () => {
  it("holds each once, in its newest revision, newest start first", () => {
    const [a, b] = [violation("a", 30), violation("b", 10)];
    const amended = { ...a, revision: 2, max_excess_kmh: 12 };
    const list = merged([a], [b, amended], all, NOW);
    expect(list.map((v) => [v.id, v.revision])).toEqual([["b", 1], ["a", 2]]);
    expect(merged(list, [a], all, NOW)[1]?.revision).toBe(2);
  });

  it("lets go of what the filter no longer takes", () => {
    const filter = { ...all, status: "new" } as const;
    const decided = violation("a", 30, { status: "confirmed", revision: 2 });
    expect(merged([violation("a", 30)], [decided], filter, NOW)).toEqual([]);
    expect(fits(violation("a", 25 * 60), all, NOW)).toBe(false);
    expect(fits(violation("a", 5), { ...all, vehicle: "V1" }, NOW)).toBe(true);
    expect(fits(violation("a", 5), { ...all, vehicle: "V2" }, NOW)).toBe(false);
  });
});

describe("the fleet", () => {
  const at = (time: string, speed_kmh: number): LivePosition =>
    ({ source: "s1", vehicle: "14C01001", time, lat: 21, lon: 107, speed_kmh, course_deg: 90 }) as LivePosition;
  const v = { id: "V1", source: "s1", time: "2026-11-27T12:00:00Z", status: "stopped" } as Vehicle;

  it("takes newer positions and never goes back", () => {
    const fleet = new Map([["V1", v]]);
    const moved = withPositions(fleet, new Map([["s1", at("2026-11-27T12:00:10Z", 40)]]));
    expect(moved.get("V1")).toMatchObject({ status: "moving", lat: 21 });
    const old = withPositions(moved, new Map([["s1", at("2026-11-27T11:00:00Z", 0)]]));
    expect(old.get("V1")?.time).toBe("2026-11-27T12:00:10Z");
  });

  it("shows a source that nobody registered", () => {
    const fleet = withPositions(new Map(), new Map([["s1", at("2026-11-27T12:00:10Z", 0)]]));
    expect(fleet.get("source:s1")?.status).toBe("stopped");
  });
});

describe("addresses", () => {
  it("come back as they were", () => {
    for (const route of [
      { at: "home" },
      { at: "violation", id: "f4815b28" },
      { at: "vehicle", id: "source:86/00 ä" },
    ] as const) {
      expect(parse(path(route))).toEqual(route);
    }
    expect(parse("/elsewhere/1/2")).toEqual({ at: "home" });
    expect(parse("/vehicles/%")).toEqual({ at: "vehicle", id: "%" });
  });
});
