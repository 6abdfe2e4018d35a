/** The violations under a filter, newest first, kept up by the live stream. */

import { KINDS, STATUSES, type Violation } from "../api/types";
import { plate, summary, time, day } from "../format";
import { type Translator, useTranslator } from "../i18n";
import { fleet } from "../state/fleet";
import { go, route } from "../state/route";
import { useStore } from "../state/store";
import { PERIODS, loadViolations, setFilter, violations } from "../state/violations";
import { Icon } from "./Icon";
import { walkRows } from "./Lists";
import { Failure, StatusPill } from "./parts";

export function ViolationList() {
  const t = useTranslator();
  const { items, next, loading, error } = useStore(violations);
  const at = useStore(route);
  const chosen = at.at === "violation" ? at.id : null;
  return (
    <>
      <Filters />
      <p className="shown" aria-live="polite">
        {t(next ? "list.shownMore" : "list.shown", { n: items.length })}
      </p>
      {error && <Failure error={error} onRetry={() => void loadViolations()} />}
      <ul className="rows" aria-busy={loading} onKeyDown={walkRows}>
        {items.map((v) => (
          <Row key={v.id} v={v} t={t} chosen={v.id === chosen} />
        ))}
        {items.length === 0 && !error && (
          <li className="empty">{t(loading ? "app.loading" : "list.empty")}</li>
        )}
        {next && (
          <li>
            <button
              type="button"
              className="more"
              disabled={loading}
              onClick={() => void loadViolations(true)}
            >
              {t("app.more")}
            </button>
          </li>
        )}
      </ul>
    </>
  );
}

function Row({ v, t, chosen }: { v: Violation; t: Translator; chosen: boolean }) {
  return (
    <li>
      <button
        type="button"
        className="row violation"
        data-kind={v.kind}
        data-band={v.band ?? undefined}
        data-status={v.status}
        aria-current={chosen || undefined}
        onClick={() => go({ at: "violation", id: v.id })}
      >
        <span className="row-head">
          <b className="plate">{plate(v.vehicle) || v.driver_id || v.source}</b>
          <span>{t.code("kind", v.kind)}</span>
          <time className="grow-left" dateTime={v.start}>
            <span className="muted">{day(v.start)}</span> {time(v.start, false)}
          </time>
        </span>
        <span className="row-foot">
          <span className="measure">{summary(t, v)}</span>
          <StatusPill v={v} />
        </span>
      </button>
    </li>
  );
}

function Filters() {
  const t = useTranslator();
  const { filter } = useStore(violations);
  return (
    <div className="filters">
      <select
        aria-label={t("filter.kind")}
        value={filter.kind}
        onChange={(e) => void setFilter({ kind: e.target.value as typeof filter.kind })}
      >
        <option value="">{t("filter.allKinds")}</option>
        {KINDS.map((k) => (
          <option key={k} value={k}>
            {t(`kind.${k}`)}
          </option>
        ))}
      </select>
      <select
        aria-label={t("filter.period")}
        value={filter.period}
        onChange={(e) => void setFilter({ period: e.target.value as typeof filter.period })}
      >
        {PERIODS.map((p) => (
          <option key={p} value={p}>
            {t(`filter.${p}`)}
          </option>
        ))}
      </select>
      <select
        aria-label={t("filter.status")}
        value={filter.status}
        onChange={(e) => void setFilter({ status: e.target.value as typeof filter.status })}
      >
        <option value="">{t("filter.allStatuses")}</option>
        {STATUSES.map((s) => (
          <option key={s} value={s}>
            {t(`status.${s}`)}
          </option>
        ))}
      </select>
      <PlateFilter />
    </div>
  );
}

/** One vehicle, by its plate: the API filters by the whole plate, so the known ones are offered. */
function PlateFilter() {
  const t = useTranslator();
  const { filter } = useStore(violations);
  const vehicles = useStore(fleet);
  const chosen = vehicles.get(filter.vehicle)?.vehicle ?? filter.vehicle;
  if (filter.vehicle) {
    return (
      <button
        type="button"
        className="chip"
        title={t("filter.clear")}
        onClick={() => void setFilter({ vehicle: "" })}
      >
        {plate(chosen)} <Icon name="close" />
      </button>
    );
  }
  const plates = [...vehicles.values()].map((v) => v.vehicle).filter((p) => p !== null);
  const take = (text: string) => {
    const bare = text.replace(/[^0-9a-z]/gi, "").toUpperCase();
    if (plates.includes(bare)) void setFilter({ vehicle: bare });
  };
  return (
    <>
      <input
        type="search"
        list="plates"
        placeholder={t("filter.vehicle")}
        aria-label={t("filter.vehicle")}
        onChange={(e) => take(e.target.value)}
      />
      <datalist id="plates">
        {plates.sort().map((p) => (
          <option key={p} value={plate(p)} />
        ))}
      </datalist>
    </>
  );
}
