import { describe, expect, it } from "vitest";
import type { Alert, Violation } from "./api/types";
import { ago, alertMeasure, bytes, clockLength, dayTime, distance, duration } from "./format";
import { kmh, plate, summary } from "./format";
import { translator } from "./i18n";

const [vi, en] = [translator("vi"), translator("en")];

describe("figures", () => {
  it("are written as the language writes them", () => {
    expect(kmh(vi, 27.5)).toBe("27,5 km/h");
    expect(kmh(en, 27.5)).toBe("27.5 km/h");
    expect(distance(vi, 0.0831)).toBe("83 m");
    expect(distance(en, 12.34)).toBe("12.3 km");
    expect(bytes(en, 71_300_000_000)).toBe("71 GB");
    expect(bytes(en, 1_500)).toBe("1.5 KB");
    expect(bytes(en, 999)).toBe("999 B");
  });

  it("leave out the parts of a duration that are zero", () => {
    expect(duration(en, 16_200)).toBe(en("length.hoursMinutes", { h: 4, m: 30 }));
    expect(duration(en, 14_400)).toBe(en("length.hours", { h: 4 }));
    expect(duration(en, 80)).toBe(en("length.minutesSeconds", { m: 1, s: 20 }));
    expect(duration(vi, 59.6)).toBe(vi("length.minutes", { m: 1 }));
    expect(clockLength(16_259)).toBe("4:30");
  });

  it("say how long ago something was, never in the future", () => {
    const now = Date.parse("2026-11-27T12:00:00Z");
    expect(ago(en, null, now)).toBe(en("ago.never"));
    expect(ago(en, "2026-11-27T12:00:03Z", now)).toBe(en("ago.seconds", { n: 0 }));
    expect(ago(en, "2026-11-27T11:00:00Z", now)).toBe(en("ago.hours", { n: 1 }));
    expect(ago(en, "2026-11-24T11:00:00Z", now)).toBe(en("ago.days", { n: 3 }));
  });
});

describe("the line of a violation", () => {
  const plain = { distance_km: null, duration_s: 3600, limit_s: null, rule: null };
  const of = (more: object): string => {
    const figures = { max_offset_m: null };
    return summary(en, { ...plain, max_excess_kmh: null, figures, ...more } as Violation);
  };

  it("says what is known, and nothing of what is not", () => {
    expect(of({})).toBe(duration(en, 3600));
    expect(of({ rule: "expired" })).toBe(`${en("rule.expired")} · ${duration(en, 3600)}`);
    expect(of({ rule: "of a newer server" })).toBe(`of a newer server · ${duration(en, 3600)}`);
    const gap = en("sum.gap", { time: duration(en, 3600), distance: distance(en, 2) });
    expect(of({ distance_km: 2 })).toBe(gap);
    const time = en("sum.time", { time: duration(en, 3600), limit: duration(en, 300) });
    expect(of({ limit_s: 300 })).toBe(time);
  });
});

describe("the line of an alert", () => {
  it("says since when, by how much, or what of the limit is left", () => {
    const of = (more: object): string => alertMeasure(en, { ahead: null, ...more } as Alert);
    const start = "2026-11-27T12:00:00Z";
    expect(of({ kind: "silence", start })).toBe(en("alerts.since", { time: dayTime(start) }));
    const back = en("alerts.back", { by: duration(en, 1500) });
    expect(of({ kind: "clock_set_back", amount_s: 1500 })).toBe(back);
    const hours = { ahead: "daily_driving", amount_s: 35_400, limit_s: 36_000 };
    const time = en("sum.time", { time: duration(en, 35_400), limit: duration(en, 36_000) });
    const line = `${en("kind.daily_driving")} · ${time}`;
    expect(of({ kind: "limit_ahead", ...hours })).toBe(line);
  });
});

describe("plates", () => {
  it("are written as they are painted", () => {
    expect(plate("14C01001")).toBe("14C-010.01");
    expect(plate("29LD12345")).toBe("29LD-123.45");
    expect(plate("14C1234")).toBe("14C1234");
    expect(plate(null)).toBe("");
  });
});
