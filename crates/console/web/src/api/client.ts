/** Requests to the API with the session's cookie. */

import type {
  Alert,
  List,
  Problem,
  ServiceStatus,
  Session,
  Track,
  Vehicle,
  Violation,
  ViolationDetail,
} from "./types";

const TIMEOUT_MS = 20_000;
/** Pages of vehicles that are read at most, 1000 vehicles each. */
const MAX_VEHICLE_PAGES = 20;

/** A refusal, or no answer at all (`status` 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(problem.message);
  }
}

type Query = Record<string, string | number | boolean | null | undefined>;

export function address(path: string, query: Query = {}): string {
  const given = Object.entries(query).filter(([, v]) => v !== null && v !== undefined && v !== "");
  const search = new URLSearchParams(given.map(([k, v]) => [k, String(v)])).toString();
  return `/api/v1/${path}${search && `?${search}`}`;
}

async function request<T>(url: string, init: RequestInit = {}): Promise<T> {
  const ended = AbortSignal.timeout(TIMEOUT_MS);
  let response: Response;
  try {
    response = await fetch(url, { credentials: "same-origin", signal: ended, ...init });
  } catch (e) {
    throw new ApiError(0, { error: "no_answer", message: String(e) });
  }
  if (response.ok) {
    return (response.status === 204 ? undefined : await response.json()) as T;
  }
  const problem = await response.json().catch(() => null);
  throw new ApiError(response.status, problem ?? { error: "failed", message: response.statusText });
}

function post<T>(url: string, body?: unknown): Promise<T> {
  const headers = body === undefined ? undefined : { "content-type": "application/json" };
  return request<T>(url, { method: "POST", headers, body: body && JSON.stringify(body) } as RequestInit);
}

export const api = {
  session: () => request<Session>(address("session")),
  /** The token goes in a header, once; from then on the cookie is enough. */
  signIn: (token: string) =>
    request<void>(address("session"), {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
    }),
  signOut: () => post<void>(address("session/end")),
  status: () => request<ServiceStatus>(address("status")),
  register: (kind: "routes" | "zones" | "signs") =>
    request<GeoJSON.FeatureCollection>(address(`registers/${kind}`)),

  async vehicles(): Promise<Vehicle[]> {
    const all: Vehicle[] = [];
    let cursor: string | null = null;
    for (let page = 0; page < MAX_VEHICLE_PAGES; page++) {
      const url: string = address("vehicles", { limit: 1000, cursor });
      const list: List<Vehicle> = await request<List<Vehicle>>(url);
      all.push(...list.items);
      cursor = list.next;
      if (!cursor) break;
    }
    return all;
  },

  alerts: (query: Query) => request<List<Alert>>(address("alerts", query)),
  violations: (query: Query) => request<List<Violation>>(address("violations", query)),
  violation: (id: string) =>
    request<ViolationDetail>(address(`violations/${encodeURIComponent(id)}`, { purpose: "review" })),
  track: (vehicle: string, from: number, to: number, maxPoints: number, purpose: string) =>
    request<Track>(
      address(`vehicles/${encodeURIComponent(vehicle)}/track`, {
        from: new Date(from).toISOString(),
        to: new Date(to).toISOString(),
        max_points: maxPoints,
        purpose,
      }),
    ),
  review: (id: string, decision: "confirm" | "dismiss", reason: string, revision: number) =>
    post<Violation>(address(`violations/${encodeURIComponent(id)}/reviews`), {
      decision,
      reason,
      revision,
    }),
};
