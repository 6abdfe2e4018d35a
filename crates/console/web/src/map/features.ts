/** Vehicles and tracks as the map's features. */

import type { Point, Vehicle } from "../api/types";
import { plate } from "../format";

/** Between fixes further apart nothing is known of the way, and no line is drawn (ms). */
export const GAP_MS = 180_000;

export interface Span {
  start: number;
  end: number;
}

export function vehicleFeatures(
  vehicles: Iterable<Vehicle>,
  chosen: string | null,
): GeoJSON.FeatureCollection {
  const features: GeoJSON.Feature[] = [];
  for (const v of vehicles) {
    if (v.lat === null || v.lon === null) continue;
    features.push({
      type: "Feature",
      geometry: { type: "Point", coordinates: [v.lon, v.lat] },
      properties: {
        id: v.id,
        label: plate(v.vehicle) || v.source || v.id,
        motion: v.status,
        course: v.status === "moving" ? (v.course_deg ?? 0) : 0,
        chosen: v.id === chosen,
      },
    });
  }
  return { type: "FeatureCollection", features };
}

/** Whether the way from one fix to the next lies within the violation. */
export function isOver(from: Point, to: Point, violation: Span | null): boolean {
  return (
    violation !== null &&
    Date.parse(from.time) >= violation.start &&
    Date.parse(to.time) <= violation.end
  );
}

/** The track in runs: within the violation, and beside it; broken at gaps of the violation's own. */
export function trackFeatures(
  points: readonly Point[],
  violation: Span | null,
  joinGaps: boolean,
): GeoJSON.FeatureCollection {
  const features: GeoJSON.Feature<GeoJSON.LineString>[] = [];
  let run: GeoJSON.Feature<GeoJSON.LineString> | undefined;
  const valid = points.filter((p) => p.valid);
  for (let i = 1; i < valid.length; i++) {
    const [from, to] = [valid[i - 1] as Point, valid[i] as Point];
    const apart = Date.parse(to.time) - Date.parse(from.time) > GAP_MS;
    const over = isOver(from, to, violation);
    if (from.source !== to.source || (apart && !(over && joinGaps))) {
      run = undefined;
      continue;
    }
    if (!run || run.properties?.over !== over) {
      const geometry = { type: "LineString" as const, coordinates: [[from.lon, from.lat]] };
      run = { type: "Feature", geometry, properties: { over } };
      features.push(run);
    }
    run.geometry.coordinates.push([to.lon, to.lat]);
  }
  return { type: "FeatureCollection", features };
}

export type Bounds = [[west: number, south: number], [east: number, north: number]];

/** The box around places given as [lon, lat]; none without a place. */
export function bounds(places: Iterable<readonly [number, number]>): Bounds | null {
  let box: Bounds | null = null;
  for (const [lon, lat] of places) {
    box ??= [
      [lon, lat],
      [lon, lat],
    ];
    box[0] = [Math.min(box[0][0], lon), Math.min(box[0][1], lat)];
    box[1] = [Math.max(box[1][0], lon), Math.max(box[1][1], lat)];
  }
  return box;
}
