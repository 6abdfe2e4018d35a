import { expect, it } from "vitest";
import type { Point } from "../api/types";
import { line, nearest, timeTicks, topSpeed, x, y } from "./scale";

const frame = { from: 0, to: 600_000, top: 100, width: 406, height: 200, left: 0, bottom: 0 };
const point = (s: number, speed: number | null, source = "a"): Point =>
  ({ time: new Date(s * 1000).toISOString(), speed_kmh: speed, valid: true, source }) as Point;

it("scales to the edges", () => {
  expect([x(frame, 0), x(frame, 600_000)]).toEqual([0, 400]);
  expect([y(frame, 0), y(frame, 100)]).toEqual([200, 8]);
  expect(topSpeed([])).toBe(40);
  expect(topSpeed([96])).toBe(120);
});

it("breaks the line at gaps and between sources", () => {
  const points = [point(0, 50), point(10, 60), point(500, 60), point(510, 60, "b"), point(520, null)];
  expect(line(frame, points).match(/[ML]/g)).toEqual(["M", "L", "M", "M"]);
});

it("finds the nearest point", () => {
  const points = [point(0, 1), point(10, 2), point(20, 3)];
  expect([-5, 4, 6, 14, 16, 99].map((s) => nearest(points, s * 1000))).toEqual([0, 0, 1, 1, 2, 2]);
});

it("sets at most as many ticks as fit", () => {
  expect(timeTicks(0, 590_000, 5)).toEqual([0, 120_000, 240_000, 360_000, 480_000]);
});
