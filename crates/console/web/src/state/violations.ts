/** The list of violations: pages of the API under a filter, kept up by the live stream. */

import { ApiError, api } from "../api/client";
import type { Kind, List, Status, Violation } from "../api/types";
import { Store } from "./store";

export const PERIODS = ["day", "week", "month", "all"] as const;
export type PeriodName = (typeof PERIODS)[number];

export interface Filter {
  kind: Kind | "";
  status: Status | "";
  /** Plate or vehicle id. */
  vehicle: string;
  period: PeriodName;
}

export interface ViolationList {
  filter: Filter;
  items: readonly Violation[];
  /** Cursor of the next page. */
  next: string | null;
  loading: boolean;
  error: ApiError | null;
}

const PAGE = 100;
/** Kept in the page at most; older ones are a click on 'more' away. */
const MAX_ITEMS = 3000;
const DAY_MS = 86_400_000;
const LENGTH_MS: Record<PeriodName, number> = {
  day: DAY_MS,
  week: 7 * DAY_MS,
  month: 31 * DAY_MS,
  all: Infinity,
};

export const violations = new Store<ViolationList>({
  filter: { kind: "", status: "", vehicle: "", period: "week" },
  items: [],
  next: null,
  loading: true,
  error: null,
});

/** Counts the reads, so that an answer to an older filter is dropped. */
let asked = 0;
const waiting = new Map<string, Violation>();
let timer: ReturnType<typeof setTimeout> | undefined;

export function setFilter(change: Partial<Filter>): Promise<void> {
  violations.update({ filter: { ...violations.get().filter, ...change } });
  return loadViolations();
}

export async function loadViolations(more = false): Promise<void> {
  const me = ++asked;
  const { filter, next } = violations.get();
  violations.update({ loading: true });
  try {
    const since = earliest(filter, Date.now());
    const list = await api.violations({
      kind: filter.kind,
      status: filter.status,
      vehicle: filter.vehicle,
      from: since === -Infinity ? null : new Date(since).toISOString(),
      limit: PAGE,
      cursor: more ? next : null,
    });
    if (me !== asked) return;
    const known = more ? violations.get().items : covered(violations.get().items, list);
    const items = merged(known, list.items, filter, Date.now());
    violations.update({ items, next: list.next, loading: false, error: null });
  } catch (e) {
    if (me !== asked) return;
    violations.update({ loading: false, error: e instanceof ApiError ? e : null });
  }
}

/** What is known and as new as the page that was read: the stream may have been ahead of it. */
function covered(known: readonly Violation[], page: List<Violation>): Violation[] {
  const { filter } = violations.get();
  const last = page.next ? page.items.at(-1) : undefined;
  const floor = last ? Date.parse(last.start) : -Infinity;
  return known.filter((v) => fits(v, filter, Date.now()) && Date.parse(v.start) > floor);
}

/** Takes a violation as it is now; they are drawn together. */
export function changed(violation: Violation): void {
  waiting.set(violation.id, violation);
  timer ??= setTimeout(() => {
    timer = undefined;
    const { items, filter } = violations.get();
    violations.update({ items: merged(items, [...waiting.values()], filter, Date.now()) });
    waiting.clear();
  }, 250);
}

export function earliest(filter: Filter, now: number): number {
  return now - LENGTH_MS[filter.period];
}

export function fits(v: Violation, f: Filter, now: number): boolean {
  return (
    (!f.kind || v.kind === f.kind) &&
    (!f.status || v.status === f.status) &&
    (!f.vehicle || v.vehicle === f.vehicle || v.vehicle_id === f.vehicle) &&
    Date.parse(v.start) >= earliest(f, now)
  );
}

/** Each violation once, in its newest revision, newest start first. */
export function merged(
  old: readonly Violation[],
  fresh: readonly Violation[],
  filter: Filter,
  now: number,
): Violation[] {
  const byId = new Map(old.map((v) => [v.id, v]));
  for (const v of fresh) {
    const known = byId.get(v.id);
    if (known && known.revision > v.revision) continue;
    if (fits(v, filter, now)) byId.set(v.id, v);
    else byId.delete(v.id);
  }
  const order = (a: Violation, b: Violation) =>
    Date.parse(b.start) - Date.parse(a.start) || (a.id < b.id ? 1 : -1);
  return [...byId.values()].sort(order).slice(0, MAX_ITEMS);
}
