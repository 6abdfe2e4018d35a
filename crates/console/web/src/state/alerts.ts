/** The alerts that go on, read again and again: they are few, and not in the live stream. */

import { api } from "../api/client";
import type { Alert } from "../api/types";
import { Store } from "./store";

/** More than anybody looks through; the figures count them all. */
const MAX_ALERTS = 500;

export interface AlertsNow {
  items: readonly Alert[];
  /** There are more than are read. */
  more: boolean;
}

export const alerts = new Store<AlertsNow | null>(null);

export async function loadAlerts(): Promise<void> {
  const list = await api.alerts({ open: true, limit: MAX_ALERTS });
  alerts.set({ items: list.items, more: list.next !== null });
}
