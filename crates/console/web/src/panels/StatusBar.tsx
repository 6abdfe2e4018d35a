/** How the system stands, at the foot of the page: what is wrong stands out, the rest is quiet. */

import { useEffect, useState } from "react";
import type { ServiceStatus } from "../api/types";
import { ago, bytes, number } from "../format";
import { useTranslator } from "../i18n";
import { connected, reachable, status } from "../state/app";
import { useStore } from "../state/store";

/** Data that are older than this are worth a look (ms). */
const OLD_MS = 120_000;
/** Messages that the worker takes a while for. */
const LONG_BACKLOG = 10_000;

const SAYS = { good: "bar.live", bad: "bar.offline", waiting: "bar.connecting" } as const;

/** Of the stream, of which nothing is known at first, and of the requests. */
function lampOf(streams: boolean | null, answers: boolean): keyof typeof SAYS {
  if (streams === false || !answers) return "bad";
  return streams === null ? "waiting" : "good";
}

export function StatusBar() {
  const t = useTranslator();
  const [streams, answers] = [useStore(connected), useStore(reachable)];
  const lamp = lampOf(streams, answers);
  const s = useStore(status);
  return (
    <footer className="bar" aria-label={t("bar.label")}>
      <span className="lamp" data-state={lamp} role="status">
        {t(SAYS[lamp])}
      </span>
      {s && <Figures s={s} />}
      <span className="grow" />
      <Clock />
    </footer>
  );
}

function Figures({ s }: { s: ServiceStatus }) {
  const t = useTranslator();
  const now = Date.parse(s.now);
  const { disk_free_bytes: free, disk_reserve_bytes: reserve, not_ready } = s.service;
  const old = s.last_received !== null && now - Date.parse(s.last_received) > OLD_MS;
  return (
    <>
      <Figure name={t("bar.lastData")} value={ago(t, s.last_received, now)} alarming={old} />
      <Figure name={t("bar.open")} value={number(t, s.violations_open)} />
      <Figure
        name={t("bar.held")}
        value={number(t, s.devices_held)}
        alarming={s.devices_held > 0}
      />
      <Figure
        name={t("bar.backlog")}
        value={s.backlog === null ? t("app.none") : number(t, s.backlog)}
        alarming={(s.backlog ?? 0) > LONG_BACKLOG}
      />
      <Figure name={t("bar.marks")} value={number(t, s.marks)} />
      <Figure
        name={t("bar.disk")}
        value={free === null ? t("app.none") : bytes(t, free)}
        alarming={free !== null && reserve !== null && free < 2 * reserve}
      />
      {!s.ready && (
        <span className="alarming" role="alert">
          {t("bar.notReady", { reasons: not_ready.join(", ") })}
        </span>
      )}
    </>
  );
}

function Figure(of: { name: string; value: string; alarming?: boolean }) {
  return (
    <span className="figure" data-alarming={of.alarming || undefined}>
      {of.name} <b>{of.value}</b>
    </span>
  );
}

function Clock() {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    const timer = setInterval(() => setNow(new Date()), 1000);
    return () => clearInterval(timer);
  }, []);
  const zone = -now.getTimezoneOffset() / 60;
  return (
    <time className="clock">
      {now.toTimeString().slice(0, 8)}{" "}
      <span className="muted">
        UTC{zone >= 0 ? "+" : "−"}
        {Math.abs(zone)}
      </span>
    </time>
  );
}
