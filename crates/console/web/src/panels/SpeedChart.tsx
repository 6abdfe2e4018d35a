/** Speeds over time with the limit; its cursor moves a mark along the track on the map. */

import { type KeyboardEvent, type PointerEvent, useEffect, useRef, useState } from "react";
import type { Period, Point } from "../api/types";
import { day, number, time } from "../format";
import { useTranslator } from "../i18n";
import type { Span } from "../map/features";
import { cursor } from "../state/app";
import { type Frame, line, nearest, speedTicks, timeTicks, topSpeed, x, y } from "./scale";

const HEIGHT = 168;

export interface ChartProps {
  points: readonly Point[];
  violation: Span | null;
  limit: number | null;
  periods?: readonly Period[];
}

export function SpeedChart({ points, violation, limit, periods = [] }: ChartProps) {
  const t = useTranslator();
  const [box, width] = useWidth();
  const [at, setAt] = useCursor(points, violation);
  if (points.length === 0) return <p className="muted">{t("chart.none")}</p>;
  const speeds = points.flatMap((p) => (p.valid && p.speed_kmh !== null ? [p.speed_kmh] : []));
  const f: Frame = {
    from: Date.parse((points[0] as Point).time),
    to: Date.parse((points.at(-1) as Point).time),
    top: topSpeed(limit === null ? speeds : [...speeds, limit]),
    width,
    height: HEIGHT,
    left: 30,
    bottom: periods.length > 0 ? 32 : 22,
  };
  const point = at === null ? null : (points[at] as Point);
  const hover = (e: PointerEvent<HTMLElement>) => {
    const px = e.clientX - e.currentTarget.getBoundingClientRect().left;
    const share = (px - f.left) / Math.max(1, f.width - f.left - 6);
    setAt(nearest(points, f.from + share * (f.to - f.from)));
  };
  return (
    <div>
      <Readout point={point} />
      <div
        ref={box}
        className="chart"
        role="slider"
        tabIndex={0}
        aria-label={t("chart.label")}
        aria-valuemin={0}
        aria-valuemax={points.length - 1}
        aria-valuenow={at ?? 0}
        aria-valuetext={point ? `${time(point.time)} ${point.speed_kmh ?? ""} km/h` : undefined}
        onPointerMove={hover}
        onPointerDown={hover}
        onPointerLeave={() => setAt(null)}
        onBlur={() => setAt(null)}
        onKeyDown={(e) => step(e, at, points.length, setAt)}
      >
        <svg width={width} height={HEIGHT} aria-hidden="true">
          <Axes f={f} />
          {violation && <Within f={f} span={violation} />}
          {periods.map((p) => (
            <Bar key={`${p.source}${p.start}`} f={f} period={p} />
          ))}
          <path className="speeds" d={line(f, points)} />
          {violation && <path className="speeds over" d={line(f, within(points, violation))} />}
          {limit !== null && <Limit f={f} limit={limit} />}
          {point && <Cursor f={f} point={point} />}
        </svg>
      </div>
    </div>
  );
}

function within(points: readonly Point[], { start, end }: Span): Point[] {
  return points.filter((p) => Date.parse(p.time) >= start && Date.parse(p.time) <= end);
}

function Readout({ point }: { point: Point | null }) {
  const t = useTranslator();
  if (!point) return <p className="readout muted">{t("chart.unit")}</p>;
  const speed = point.speed_kmh;
  const said = speed === null ? t("chart.noSpeed") : `${number(t, speed, 1)} km/h`;
  return (
    <p className="readout">
      {day(point.time)} {time(point.time)} · <b>{said}</b>
      {point.reason && <span> · {t("chart.invalid", { reason: point.reason })}</span>}
    </p>
  );
}

function Axes({ f }: { f: Frame }) {
  const long = f.to - f.from > 36 * 3_600_000;
  return (
    <g className="axes">
      {speedTicks(f.top).map((v) => (
        <g key={v}>
          <line x1={f.left} x2={f.width - 6} y1={y(f, v)} y2={y(f, v)} />
          <text x={f.left - 6} y={y(f, v) + 3.5} textAnchor="end">
            {v}
          </text>
        </g>
      ))}
      {timeTicks(f.from, f.to, 5).map((at) => (
        <text key={at} x={x(f, at)} y={f.height - 5} textAnchor={anchor(f, x(f, at))}>
          {long ? day(at) : time(at, f.to - f.from < 300_000)}
        </text>
      ))}
    </g>
  );
}

function anchor(f: Frame, px: number): "start" | "middle" | "end" {
  if (px < f.left + 16) return "start";
  return px > f.width - 24 ? "end" : "middle";
}

function Within({ f, span }: { f: Frame; span: Span }) {
  const from = x(f, Math.max(span.start, f.from));
  const to = x(f, Math.min(span.end, f.to));
  const edge = y(f, f.top);
  return (
    <rect className="within" x={from} y={edge} width={Math.max(1, to - from)} height={y(f, 0) - edge} />
  );
}

function Bar({ f, period }: { f: Frame; period: Period }) {
  const from = x(f, Math.max(Date.parse(period.start), f.from));
  const to = x(f, Math.min(Date.parse(period.end), f.to));
  return (
    <rect className="period" x={from} y={y(f, 0) + 4} width={Math.max(1, to - from)} height={5} />
  );
}

function Limit({ f, limit }: { f: Frame; limit: number }) {
  const t = useTranslator();
  const at = y(f, limit);
  return (
    <g className="limit">
      <line x1={f.left} x2={f.width - 6} y1={at} y2={at} />
      <text x={f.width - 8} y={at - 5} textAnchor="end">
        {t("chart.limit", { limit: number(t, limit) })}
      </text>
    </g>
  );
}

function Cursor({ f, point }: { f: Frame; point: Point }) {
  const at = x(f, Date.parse(point.time));
  return (
    <g className="cursor">
      <line x1={at} x2={at} y1={y(f, f.top)} y2={y(f, 0)} />
      {point.speed_kmh !== null && <circle cx={at} cy={y(f, point.speed_kmh)} r="4" />}
    </g>
  );
}

function step(
  e: KeyboardEvent,
  at: number | null,
  length: number,
  set: (to: number) => void,
): void {
  const here = at ?? Math.floor(length / 2);
  const to = {
    ArrowLeft: here - 1,
    ArrowRight: here + 1,
    PageUp: here - 10,
    PageDown: here + 10,
    Home: 0,
    End: length - 1,
  }[e.key];
  if (to === undefined) return;
  e.preventDefault();
  set(Math.min(Math.max(to, 0), length - 1));
}

/** The cursor of the chart is the mark on the map. */
function useCursor(points: readonly Point[], violation: Span | null) {
  const [at, setAt] = useState<number | null>(null);
  useEffect(() => {
    const point = at === null ? undefined : points[at];
    const when = point ? Date.parse(point.time) : 0;
    const over = violation !== null && when >= violation.start && when <= violation.end;
    cursor.set(point ? { point, over } : null);
    return () => cursor.set(null);
  }, [at, points, violation]);
  return [at !== null && at < points.length ? at : null, setAt] as const;
}

function useWidth() {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(340);
  useEffect(() => {
    if (!box.current) return;
    const observer = new ResizeObserver(([e]) => e && setWidth(Math.floor(e.contentRect.width)));
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  return [box, width] as const;
}
