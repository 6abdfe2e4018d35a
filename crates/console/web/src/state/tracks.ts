/** Which track belongs to a violation, and reading it. */

import { api } from "../api/client";
import type { Point, ViolationDetail } from "../api/types";
import type { Span } from "../map/features";

const MINUTE_MS = 60_000;
const MAX_POINTS = 3000;
/** A track is read over at most this long (the API's own bound, ms). */
const MAX_SPAN_MS = 31 * 86_400_000;
/** Vehicles of one driver that are shown. */
const MAX_VEHICLES = 6;

export interface Wanted extends Span {
  vehicle: string;
}

export interface Read {
  points: Point[];
  truncated: boolean;
}

/** What happened shortly before and after belongs to the picture (ms). */
export function margin(length: number): number {
  return Math.min(Math.max(length / 2, 2 * MINUTE_MS), 20 * MINUTE_MS);
}

/** A driver's violation may lie on several vehicles: the periods of its evidence name them. */
export function wanted(v: ViolationDetail): Wanted[] {
  const whole = { start: Date.parse(v.start), end: Date.parse(v.end) };
  const spans = new Map<string, Span>();
  for (const p of v.evidence?.body.periods ?? []) {
    const id = p.vehicle ?? `source:${p.source}`;
    const known = spans.get(id);
    spans.set(id, {
      start: Math.min(known?.start ?? Infinity, Date.parse(p.start)),
      end: Math.max(known?.end ?? -Infinity, Date.parse(p.end)),
    });
  }
  const own = v.vehicle_id ?? (v.source ? `source:${v.source}` : v.vehicle);
  if (spans.size === 0 && own) spans.set(own, whole);
  return [...spans].slice(0, MAX_VEHICLES).map(([vehicle, s]) => {
    const around = margin(s.end - s.start);
    const end = Math.min(s.end + around, s.start - around + MAX_SPAN_MS);
    return { vehicle, start: s.start - around, end };
  });
}

export async function readTracks(of: readonly Wanted[], purpose: string): Promise<Read> {
  const each = Math.max(2, Math.floor(MAX_POINTS / Math.max(1, of.length)));
  const tracks = await Promise.all(
    of.map((w) => api.track(w.vehicle, w.start, w.end, each, purpose)),
  );
  const points = tracks.flatMap((t) => t.points);
  points.sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
  return { points, truncated: tracks.some((t) => t.truncated) };
}
