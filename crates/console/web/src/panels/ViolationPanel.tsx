/** One violation: what was measured against what, its track and speeds, the decision on it. */

import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { api } from "../api/client";
import type { ViolationDetail } from "../api/types";
import { plate, span } from "../format";
import { useTranslator } from "../i18n";
import { shown } from "../state/app";
import { go } from "../state/route";
import { useStore } from "../state/store";
import { type Read, readTracks, wanted } from "../state/tracks";
import { changed, violations } from "../state/violations";
import { Facts } from "./Facts";
import { History } from "./History";
import { Icon } from "./Icon";
import { ReviewForm } from "./ReviewForm";
import { SpeedChart } from "./SpeedChart";
import { Failure, StatusPill } from "./parts";

export function ViolationPanel({ id }: { id: string }) {
  const t = useTranslator();
  const { v, error, reload } = useViolation(id);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  return (
    <aside className="detail" aria-labelledby="detail-title" aria-busy={!v && !error}>
      <header>
        <div>
          <h2 id="detail-title" ref={heading} tabIndex={-1}>
            {v ? t.code("kind", v.kind) : t("detail.title")}
          </h2>
          {v && <p className="plate big">{plate(v.vehicle) || v.driver_id || v.source}</p>}
        </div>
        <span className="grow" />
        {v && <StatusPill v={v} />}
        <CloseButton />
      </header>
      {error !== null && <Failure error={error} onRetry={reload} />}
      {!v && error === null && <p className="muted">{t("app.loading")}</p>}
      {v && <Body v={v} reload={reload} />}
    </aside>
  );
}

export function CloseButton() {
  const t = useTranslator();
  return (
    <button
      type="button"
      className="quiet"
      title={`${t("app.close")} (Esc)`}
      aria-label={t("app.close")}
      onClick={() => go({ at: "home" })}
    >
      <Icon name="close" />
    </button>
  );
}

function Body({ v, reload }: { v: ViolationDetail; reload: () => void }) {
  const t = useTranslator();
  return (
    <>
      <p className="when">{span(v.start, v.end)}</p>
      {v.evidence_changed && <p className="remark">{t("detail.changedAfter")}</p>}
      {v.replaced_by && <Replaced by={v.replaced_by} />}
      <Speeds v={v} />
      <Facts v={v} />
      <ReviewForm v={v} onChanged={reload} />
      <History v={v} />
    </>
  );
}

function Replaced({ by }: { by: string }) {
  const t = useTranslator();
  return (
    <p className="remark">
      <button type="button" className="link" onClick={() => go({ at: "violation", id: by })}>
        {t("detail.replaced")}
      </button>
    </p>
  );
}

function Speeds({ v }: { v: ViolationDetail }) {
  const t = useTranslator();
  const of = useMemo(() => ({ start: Date.parse(v.start), end: Date.parse(v.end) }), [v.start, v.end]);
  const [read, setRead] = useState<Read | null>(null);
  const [error, setError] = useState<unknown>(null);
  const load = useCallback(() => {
    let gone = false;
    setError(null);
    readTracks(wanted(v), "review").then(
      (r) => !gone && setRead(r),
      (e) => !gone && setError(e),
    );
    return () => {
      gone = true;
    };
  }, [v]);
  useEffect(load, [load]);
  useEffect(() => {
    const points = read?.points ?? [];
    shown.set(read && { points, violation: of, joinGaps: v.kind === "transmission_gap" });
    return () => shown.set(null);
  }, [read, of, v.kind]);
  if (error !== null) return <Failure error={error} onRetry={load} />;
  const periods = v.evidence?.body.periods;
  return (
    <section className="speeds-box">
      <h3>{t("chart.title")}</h3>
      {read === null ? (
        <p className="muted chart-wait">{t("app.loading")}</p>
      ) : (
        <SpeedChart points={read.points} violation={of} limit={v.limit_kmh} periods={periods} />
      )}
      {periods && periods.length > 0 && (
        <p className="key" data-key="period">
          {t("chart.periods")}
        </p>
      )}
      {read?.truncated && <p className="remark">{t("chart.truncated")}</p>}
    </section>
  );
}

/** Read again when the list has a newer revision of it. */
function useViolation(id: string) {
  const [v, setV] = useState<ViolationDetail | null>(null);
  const [error, setError] = useState<unknown>(null);
  const listed = useStore(violations).items.find((i) => i.id === id)?.revision;
  const reload = useCallback(() => {
    setError(null);
    api.violation(id).then((read) => {
      setV(read);
      changed(read);
    }, setError);
  }, [id]);
  useEffect(reload, [reload]);
  useEffect(() => {
    if (v && listed !== undefined && listed > v.revision) reload();
  }, [v, listed, reload]);
  return { v, error, reload };
}
