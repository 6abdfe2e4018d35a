/** The arithmetic of the speed chart: scales, lines with gaps, the nearest point. */

import type { Point } from "../api/types";
import { GAP_MS } from "../map/features";

export interface Frame {
  /** Time of the left and right edge, ms. */
  from: number;
  to: number;
  /** Speed at the upper edge, km/h. */
  top: number;
  width: number;
  height: number;
  left: number;
  bottom: number;
}

const HOUR = 3_600_000;
const STEPS = [10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000]
  .concat([1, 2, 3, 6, 12, 24, 48, 96, 168].map((h) => h * HOUR));

export function x(f: Frame, at: number): number {
  return f.left + ((at - f.from) / Math.max(1, f.to - f.from)) * (f.width - f.left - 6);
}

export function y(f: Frame, speed: number): number {
  return f.height - f.bottom - (speed / f.top) * (f.height - f.bottom - 8);
}

/** A round upper edge above every speed and every line. */
export function topSpeed(speeds: readonly number[]): number {
  return Math.max(40, Math.ceil((Math.max(0, ...speeds) + 5) / 20) * 20);
}

export function speedTicks(top: number): number[] {
  const step = top > 120 ? 40 : 20;
  return Array.from({ length: Math.floor(top / step) + 1 }, (_, i) => i * step);
}

/** Round local times, at most `most` of them. */
export function timeTicks(from: number, to: number, most: number): number[] {
  const step = STEPS.find((s) => (to - from) / s <= most) ?? (to - from) / most;
  const shift = new Date(from).getTimezoneOffset() * 60_000;
  const first = Math.ceil((from - shift) / step) * step + shift;
  const ticks: number[] = [];
  for (let at = first; at <= to; at += step) ticks.push(at);
  return ticks;
}

/** The line of speeds, broken at gaps and where the source changes. */
export function line(f: Frame, points: readonly Point[]): string {
  let path = "";
  let last: Point | undefined;
  for (const p of points) {
    if (p.speed_kmh === null || !p.valid) continue;
    const at = Date.parse(p.time);
    const joined = last && last.source === p.source && at - Date.parse(last.time) <= GAP_MS;
    path += `${joined ? "L" : "M"}${x(f, at).toFixed(1)} ${y(f, p.speed_kmh).toFixed(1)}`;
    last = p;
  }
  return path;
}

/** Index of the point nearest in time; points are in order of time. */
export function nearest(points: readonly Point[], at: number): number {
  let [low, high] = [0, points.length - 1];
  const when = (i: number) => Date.parse((points[i] as Point).time);
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (when(middle) < at) low = middle;
    else high = middle;
  }
  return high > 0 && Math.abs(when(high) - at) < Math.abs(at - when(low)) ? high : Math.max(0, low);
}
