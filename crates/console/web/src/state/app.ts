/** What the page as a whole knows, and how it keeps up. */

import { ApiError, api } from "../api/client";
import { follow } from "../api/live";
import type { Point, ServiceStatus, Session } from "../api/types";
import type { Span } from "../map/features";
import type { Theme } from "../map/palette";
import { startLanguage } from "../i18n";
import { loadAlerts } from "./alerts";
import { loadFleet, moved } from "./fleet";
import { Store } from "./store";
import { changed, loadViolations } from "./violations";

export type Entry = "loading" | "in" | "out" | "forbidden" | "failed";

export const entry = new Store<Entry>("loading");
export const session = new Store<Session | null>(null);
export const status = new Store<ServiceStatus | null>(null);
/** Of the live stream; null: not known yet. */
export const connected = new Store<boolean | null>(null);
/** Of the last request for the status. */
export const reachable = new Store(true);

export interface Shown {
  points: readonly Point[];
  violation: Span | null;
  /** The way across a gap is drawn too: the gap is the violation. */
  joinGaps: boolean;
}
/** The track on the map. */
export const shown = new Store<Shown | null>(null);
/** The point of it under the chart's cursor. */
export const cursor = new Store<{ point: Point; over: boolean } | null>(null);

const STATUS_MS = 5000;
/** Silence and drivers are not in the stream. */
const FLEET_MS = 60_000;
const ALERTS_MS = 15_000;

/** Signs in by the cookie and starts to keep up. */
export async function enter(): Promise<void> {
  entry.set("loading");
  try {
    const me = await api.session();
    session.set(me);
    startLanguage(me.language);
    entry.set(me.role === "agency" ? "forbidden" : "in");
  } catch (e) {
    startLanguage(undefined);
    entry.set(e instanceof ApiError && e.status === 401 ? "out" : "failed");
  }
}

export async function leave(): Promise<void> {
  await api.signOut().catch(() => undefined);
  entry.set("out");
}

/** Reads everything, follows the stream, until the returned function is called. */
export function keepUp(): () => void {
  const read = () => {
    void quiet(loadFleet());
    void quiet(loadAlerts());
    void loadViolations();
  };
  read();
  void quiet(loadStatus());
  connected.set(null);
  const stop = follow({
    position: moved,
    violation: changed,
    reload: read,
    connected: (yes) => connected.set(yes),
  });
  const timers = [
    setInterval(() => void quiet(loadStatus()), STATUS_MS),
    setInterval(() => void quiet(loadFleet()), FLEET_MS),
    setInterval(() => void quiet(loadAlerts()), ALERTS_MS),
  ];
  return () => {
    stop();
    timers.forEach(clearInterval);
  };
}

async function loadStatus(): Promise<void> {
  try {
    status.set(await api.status());
    reachable.set(true);
  } catch (e) {
    reachable.set(false);
    throw e;
  }
}

/** Background reads fail visibly by the status bar; an ended session shows the way in again. */
async function quiet(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (e) {
    if (e instanceof ApiError && e.status === 401) entry.set("out");
  }
}

const THEME = "waywarden.theme";

function firstTheme(): Theme {
  const chosen = localStorage.getItem(THEME);
  if (chosen === "dark" || chosen === "light") return chosen;
  return matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
}

export const theme = new Store<Theme>(firstTheme());

export function wear(to: Theme): void {
  document.documentElement.dataset.theme = to;
  theme.set(to);
}

export function chooseTheme(to: Theme): void {
  localStorage.setItem(THEME, to);
  wear(to);
}
