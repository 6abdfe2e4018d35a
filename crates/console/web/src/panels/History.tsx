/** What happened to a violation, newest first: findings, amendments and decisions. */

import type { ViolationDetail } from "../api/types";
import { dayTime } from "../format";
import { useTranslator } from "../i18n";

export function History({ v }: { v: ViolationDetail }) {
  const t = useTranslator();
  const decided = new Map(v.reviews.map((r) => [r.revision, r]));
  return (
    <details className="history">
      <summary>
        {t("detail.history")} <span className="count">{v.changes.length}</span>
      </summary>
      <ol>
        {[...v.changes].reverse().map((c) => {
          // A decision is made on one revision and makes the next.
          const review = c.kind === "decided" ? decided.get(c.revision - 1) : undefined;
          return (
            <li key={c.seq}>
              <time dateTime={c.at}>{dayTime(c.at)}</time>
              <span>
                {review
                  ? `${t(`review.${review.decision}`, { by: review.by })}: ${review.reason}`
                  : t.code("change", c.kind)}
              </span>
            </li>
          );
        })}
      </ol>
    </details>
  );
}
