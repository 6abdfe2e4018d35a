/** Figures and times as the operator reads them, in the page's language and the browser's zone. */

import type { Translator } from "./i18n";
import type { Alert, Violation } from "./api/types";

const LOCALES = { vi: "vi-VN", en: "en-GB" } as const;

/** Vietnamese plates as they are painted: `14C01001` is 14C-010.01; others stay as they are. */
export function plate(text: string | null): string {
  const parts = /^(\d{2}[A-Z]{1,2}\d?)(\d{3})(\d{2})$/.exec(text ?? "");
  if (parts) return `${parts[1]}-${parts[2]}.${parts[3]}`;
  return text ?? "";
}

export function number(t: Translator, value: number, decimals = 0): string {
  const options = { maximumFractionDigits: decimals };
  return new Intl.NumberFormat(LOCALES[t.language], options).format(value);
}

export function kmh(t: Translator, value: number): string {
  return `${number(t, value, 2)} km/h`;
}

/** Kilometres, in metres below one. */
export function distance(t: Translator, km: number): string {
  return km < 1 ? `${number(t, km * 1000)} m` : `${number(t, km, 1)} km`;
}

export function bytes(t: Translator, value: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let at = 0;
  let rest = value;
  for (; rest >= 1000 && at < units.length - 1; at++) rest /= 1000;
  return `${number(t, rest, rest < 10 && at > 0 ? 1 : 0)} ${units[at]}`;
}

export function duration(t: Translator, seconds: number): string {
  const all = Math.round(seconds);
  const [h, m, s] = [Math.floor(all / 3600), Math.floor((all % 3600) / 60), all % 60];
  if (h > 0) return m > 0 ? t("length.hoursMinutes", { h, m }) : t("length.hours", { h });
  if (m > 0) return s > 0 ? t("length.minutesSeconds", { m, s }) : t("length.minutes", { m });
  return t("length.seconds", { s });
}

/** Hours and minutes, `4:30`, where the words would not fit. */
export function clockLength(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}`;
}

export function ago(t: Translator, then: string | null, now: number): string {
  if (!then) return t("ago.never");
  const s = Math.max(0, Math.round((now - Date.parse(then)) / 1000));
  if (s < 60) return t("ago.seconds", { n: s });
  if (s < 3600) return t("ago.minutes", { n: Math.floor(s / 60) });
  if (s < 86_400) return t("ago.hours", { n: Math.floor(s / 3600) });
  return t("ago.days", { n: Math.floor(s / 86_400) });
}

const two = (n: number) => String(n).padStart(2, "0");

export function day(at: string | number): string {
  const d = new Date(at);
  return `${two(d.getDate())}/${two(d.getMonth() + 1)}`;
}

export function time(at: string | number, withSeconds = true): string {
  const d = new Date(at);
  const hm = `${two(d.getHours())}:${two(d.getMinutes())}`;
  return withSeconds ? `${hm}:${two(d.getSeconds())}` : hm;
}

export function dayTime(at: string | number): string {
  return `${day(at)} ${time(at)}`;
}

/** Start and end; the day of the end only where it is another. */
export function span(start: string, end: string): string {
  const same = new Date(start).toDateString() === new Date(end).toDateString();
  return `${dayTime(start)} – ${same ? time(end) : dayTime(end)}`;
}

/** What was measured, against what is allowed, in one line. */
export function summary(t: Translator, v: Violation): string {
  const length = v.distance_km === null ? "" : distance(t, v.distance_km);
  if (v.max_excess_kmh !== null && v.limit_kmh !== null) {
    const excess = kmh(t, v.max_excess_kmh);
    return t("sum.excess", { excess, limit: number(t, v.limit_kmh) });
  }
  if (v.limit_s !== null) {
    return t("sum.time", { time: duration(t, v.duration_s), limit: duration(t, v.limit_s) });
  }
  if (v.figures.max_offset_m !== null) {
    const offset = distance(t, v.figures.max_offset_m / 1000);
    return t("sum.offset", { offset, distance: length });
  }
  if (v.distance_km === null) {
    const length = duration(t, v.duration_s);
    return v.rule === null ? length : `${t.code("rule", v.rule)} · ${length}`;
  }
  return t("sum.gap", { time: duration(t, v.duration_s), distance: length });
}

/** What an alert is about, in one line. */
export function alertMeasure(t: Translator, a: Alert): string {
  if (a.kind === "silence") return t("alerts.since", { time: dayTime(a.start) });
  if (a.kind === "clock_set_back") return t("alerts.back", { by: duration(t, a.amount_s ?? 0) });
  const [driven, limit] = [duration(t, a.amount_s ?? 0), duration(t, a.limit_s ?? 0)];
  return `${t.code("kind", a.ahead ?? "")} · ${t("sum.time", { time: driven, limit })}`;
}

/** The profile's tolerance, km/h: what lies between the average, the limit and the excess. */
export function tolerance(v: Violation): number | null {
  const average = v.figures.max_average_speed_kmh;
  if (average === null || v.limit_kmh === null || v.max_excess_kmh === null) return null;
  const rest = Math.round((average - v.limit_kmh - v.max_excess_kmh) * 100) / 100;
  return rest >= 0 ? rest : null;
}
