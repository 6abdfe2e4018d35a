/** Vehicles with their last position: read whole, then kept up by the live stream. */

import { api } from "../api/client";
import type { LivePosition, Motion, Vehicle } from "../api/types";
import { Store } from "./store";

/** As the API has it: below it a vehicle stands. */
const MOVING_KMH = 5;

export const fleet = new Store<ReadonlyMap<string, Vehicle>>(new Map());

/** Newest position of each source since the fleet was last drawn. */
const waiting = new Map<string, LivePosition>();
let timer: ReturnType<typeof setTimeout> | undefined;

export async function loadFleet(): Promise<void> {
  const known = fleet.get();
  const read = await api.vehicles();
  fleet.set(new Map(read.map((v) => [v.id, newer(v, known.get(v.id))])));
}

/** What the stream told while the list was on its way is not taken back. */
function newer(read: Vehicle, known: Vehicle | undefined): Vehicle {
  if (!known?.time || (read.time && Date.parse(read.time) >= Date.parse(known.time))) return read;
  const { time, lat, lon, speed_kmh, course_deg } = known;
  return { ...read, time, lat, lon, speed_kmh, course_deg };
}

/** Takes a position; they are drawn together, twice a second. */
export function moved(position: LivePosition): void {
  waiting.set(position.source, position);
  timer ??= setTimeout(() => {
    timer = undefined;
    fleet.set(withPositions(fleet.get(), waiting));
    waiting.clear();
  }, 500);
}

/** The fleet with newer positions; a source without a vehicle is one of its own. */
export function withPositions(
  vehicles: ReadonlyMap<string, Vehicle>,
  positions: ReadonlyMap<string, LivePosition>,
): Map<string, Vehicle> {
  const out = new Map(vehicles);
  const bySource = new Map<string, Vehicle>();
  for (const v of vehicles.values()) if (v.source) bySource.set(v.source, v);
  for (const p of positions.values()) {
    const v = bySource.get(p.source) ?? unknown(p);
    if (v.time && Date.parse(v.time) > Date.parse(p.time)) continue;
    const { time, lat, lon, speed_kmh, course_deg } = p;
    out.set(v.id, { ...v, time, lat, lon, speed_kmh, course_deg, status: motion(speed_kmh) });
  }
  return out;
}

export function motion(speed: number | null): Motion {
  return (speed ?? 0) >= MOVING_KMH ? "moving" : "stopped";
}

function unknown(p: LivePosition): Vehicle {
  return {
    id: `source:${p.source}`,
    vehicle: p.vehicle,
    operator: null,
    operator_name: null,
    class: null,
    transport: null,
    source: p.source,
    driver_id: null,
    status: "stopped",
    held: false,
    time: null,
    received: null,
    lat: null,
    lon: null,
    speed_kmh: null,
    course_deg: null,
    ignition: null,
  };
}
