/** Confirming or dismissing a closed violation, with a reason, on the revision that was read. */

import { type FormEvent, useState } from "react";
import { ApiError, api } from "../api/client";
import type { ViolationDetail } from "../api/types";
import { dayTime } from "../format";
import { type Translator, useTranslator } from "../i18n";
import { session } from "../state/app";
import { useStore } from "../state/store";
import { told } from "./parts";

const MAX_REASON = 2000;

export function ReviewForm({ v, onChanged }: { v: ViolationDetail; onChanged: () => void }) {
  const t = useTranslator();
  const may = useStore(session)?.may_review ?? false;
  const [again, setAgain] = useState(false);
  const last = v.reviews.at(-1);
  const decided = v.status === "confirmed" || v.status === "dismissed";
  return (
    <section className="review">
      <h3>{t("review.title")}</h3>
      {last && (
        <blockquote data-status={last.decision}>
          <p>{last.reason}</p>
          <footer className="muted">
            {t(`review.${last.decision}`, { by: last.by })} · {dayTime(last.at)}
          </footer>
        </blockquote>
      )}
      {v.open && <p className="muted">{t("review.open")}</p>}
      {may && !v.open && v.status !== "withdrawn" && (!decided || again) && (
        <Form
          v={v}
          onChanged={() => {
            setAgain(false);
            onChanged();
          }}
        />
      )}
      {may && decided && !again && (
        <button type="button" onClick={() => setAgain(true)}>
          {t("review.again")}
        </button>
      )}
    </section>
  );
}

function Form({ v, onChanged }: { v: ViolationDetail; onChanged: () => void }) {
  const t = useTranslator();
  const [reason, setReason] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const decide = async (decision: "confirm" | "dismiss") => {
    if (!reason.trim()) return setProblem(t("review.needReason"));
    setBusy(true);
    setProblem("");
    try {
      await api.review(v.id, decision, reason.trim(), v.revision);
      setReason("");
      onChanged();
    } catch (e) {
      setProblem(conflict(t, e));
      if (e instanceof ApiError && e.status === 409) onChanged();
    } finally {
      setBusy(false);
    }
  };
  const submit = (e: FormEvent) => {
    e.preventDefault();
    void decide("confirm");
  };
  return (
    <form onSubmit={submit}>
      <textarea
        aria-label={t("review.reason")}
        placeholder={t("review.placeholder")}
        rows={2}
        maxLength={MAX_REASON}
        value={reason}
        aria-invalid={problem !== "" && !reason.trim()}
        aria-describedby="review-problem"
        onChange={(e) => setReason(e.target.value)}
      />
      <p id="review-problem" className="over" role="alert">
        {problem}
      </p>
      <div className="buttons">
        <button type="submit" className="confirm" disabled={busy}>
          {t("review.confirm")}
        </button>
        <button type="button" disabled={busy} onClick={() => void decide("dismiss")}>
          {t("review.dismiss")}
        </button>
      </div>
    </form>
  );
}

/** Of two who decide at once the second is told who was first. */
function conflict(t: Translator, e: unknown): string {
  const review = e instanceof ApiError ? e.problem.current?.review : undefined;
  if (!review) return told(t, e);
  return t("review.conflictBy", { by: review.by, at: dayTime(review.at) });
}
