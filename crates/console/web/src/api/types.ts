/** The answers of `/api/v1` that the page reads; docs/api.md describes them. Times are RFC 3339. */

export const KINDS = [
  "overspeed",
  "continuous_driving",
  "daily_driving",
  "weekly_driving",
  "two_weekly_driving",
  "daily_rest",
  "weekly_rest",
  "route_deviation",
  "transmission_gap",
  "driver_not_identified",
  "card_in_two_vehicles",
  "unregistered_stop",
  "forbidden_zone",
  "driving_licence",
  "inspection",
  "badge",
  "operator_licence",
  "tampering",
  "daily_duty",
  "closed_hours",
] as const;
export type Kind = (typeof KINDS)[number];

export const STATUSES = ["new", "confirmed", "dismissed", "withdrawn"] as const;
export type Status = (typeof STATUSES)[number];

export const MOTIONS = ["moving", "stopped", "silent"] as const;
export type Motion = (typeof MOTIONS)[number];

export type LimitSource = "sign" | "zone" | "road" | "class" | "class_unknown" | "vehicle";

export interface Session {
  name: string;
  role: "viewer" | "operator" | "agency" | "administrator";
  may_review: boolean;
  expires: string;
  language: string;
  version: string;
}

export interface Vehicle {
  id: string;
  /** Plate. */
  vehicle: string | null;
  operator: string | null;
  operator_name: string | null;
  class: string | null;
  transport: string | null;
  source: string | null;
  driver_id: string | null;
  status: Motion;
  held: boolean;
  time: string | null;
  received: string | null;
  lat: number | null;
  lon: number | null;
  speed_kmh: number | null;
  course_deg: number | null;
  ignition: boolean | null;
}

export interface LivePosition {
  source: string;
  vehicle: string | null;
  time: string;
  lat: number;
  lon: number;
  speed_kmh: number | null;
  course_deg: number | null;
}

export interface Point {
  source: string;
  time: string;
  lat: number;
  lon: number;
  speed_kmh: number | null;
  course_deg: number | null;
  valid: boolean;
  /** Why it takes no part in judging. */
  reason: string | null;
}

export interface Track {
  id: string;
  points: Point[];
  total: number;
  truncated: boolean;
}

export interface Figures {
  object: string | null;
  max_offset_m: number | null;
  max_average_speed_kmh: number | null;
  periods: number | null;
  at: [number, number] | null;
  lower_bound: boolean | null;
}

export interface Violation {
  id: string;
  kind: Kind;
  rule: string | null;
  /** Plate at the time. */
  vehicle: string | null;
  vehicle_id: string | null;
  driver_id: string | null;
  operator: string | null;
  source: string | null;
  start: string;
  end: string;
  band: string | null;
  limit_kmh: number | null;
  limit_source: LimitSource | null;
  max_excess_kmh: number | null;
  distance_km: number | null;
  duration_s: number;
  limit_s: number | null;
  profile: string;
  profile_version: number;
  status: Status;
  open: boolean;
  revision: number;
  evidence_changed: boolean;
  replaced_by: string | null;
  figures: Figures;
}

/** A driving period that was counted. */
export interface Period {
  source: string;
  start: string;
  end: string;
  vehicle: string | null;
}

export interface Evidence {
  revision: number;
  at: string;
  sha256: string;
  body: { records: unknown[]; frames: unknown[]; periods: Period[]; complete: boolean };
}

export interface Review {
  revision: number;
  decision: "confirmed" | "dismissed";
  reason: string;
  by: string;
  at: string;
}

export interface ViolationDetail extends Violation {
  registry: number;
  evidence: Evidence | null;
  changes: { seq: number; kind: string; at: string; revision: number }[];
  reviews: Review[];
}

export type AlertKind = "silence" | "clock_set_back" | "limit_ahead";

export interface Alert {
  id: string;
  kind: AlertKind;
  /** Kind of the violation that comes near. */
  ahead: Kind | null;
  rule: string | null;
  /** Plate at the time. */
  vehicle: string | null;
  vehicle_id: string | null;
  driver_id: string | null;
  operator: string | null;
  source: string | null;
  start: string;
  raised: string;
  ended: string | null;
  amount_s: number | null;
  limit_s: number | null;
}

export interface ServiceStatus {
  now: string;
  ready: boolean;
  last_received: string | null;
  sources: number;
  devices_held: number;
  violations_open: number;
  marks: number;
  oldest_mark: string | null;
  poison: number;
  backlog: number | null;
  service: {
    not_ready: string[];
    connections: number;
    disk_free_bytes: number | null;
    disk_reserve_bytes: number | null;
  };
}

export interface List<T> {
  items: T[];
  next: string | null;
}

export interface Problem {
  error: string;
  message: string;
  current?: { violation: Violation; review: Review | null };
}
