/** Small parts that several panels show. */

import type { ReactNode } from "react";
import { ApiError } from "../api/client";
import type { Violation } from "../api/types";
import { type Translator, useTranslator } from "../i18n";

export function StatusPill({ v }: { v: Pick<Violation, "status" | "open"> }) {
  const t = useTranslator();
  const going = v.open && v.status === "new";
  return (
    <span className="pill" data-status={going ? "open" : v.status}>
      {t(going ? "status.open" : `status.${v.status}`)}
    </span>
  );
}

/** A line of figures; left out where there is nothing to say. */
export function Fact({ name, children }: { name: string; children: ReactNode }) {
  if (children === null || children === undefined || children === "" || children === false) return null;
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

export function told(t: Translator, error: unknown): string {
  if (!(error instanceof ApiError)) return t("error.failed");
  const known = t.code("error", error.problem.error);
  return known.replace("{message}", error.problem.message);
}

export function Failure({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const t = useTranslator();
  return (
    <div className="failure" role="alert">
      <span>{told(t, error)}</span>
      {onRetry && (
        <button type="button" onClick={onRetry}>
          {t("app.retry")}
        </button>
      )}
    </div>
  );
}
