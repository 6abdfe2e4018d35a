/** Violations, alerts and vehicles, one of them at a time. */

import { type KeyboardEvent, useRef, useState } from "react";
import { useTranslator } from "../i18n";
import { alerts } from "../state/alerts";
import { fleet } from "../state/fleet";
import { useStore } from "../state/store";
import { AlertList } from "./AlertList";
import { VehicleList } from "./VehicleList";
import { ViolationList } from "./ViolationList";

const TABS = ["violations", "alerts", "vehicles"] as const;

export function Lists() {
  const t = useTranslator();
  const vehicles = useStore(fleet).size;
  const open = useStore(alerts)?.items.length ?? 0;
  const [tab, setTab] = useState<(typeof TABS)[number]>("violations");
  const bar = useRef<HTMLDivElement>(null);
  const turn = (e: KeyboardEvent) => {
    if (e.key !== "ArrowLeft" && e.key !== "ArrowRight") return;
    const step = e.key === "ArrowRight" ? 1 : TABS.length - 1;
    const other = TABS[(TABS.indexOf(tab) + step) % TABS.length] ?? tab;
    setTab(other);
    bar.current?.querySelector<HTMLElement>(`#tab-${other}`)?.focus();
  };
  return (
    <section className="lists" id="list" tabIndex={-1}>
      <div className="tabs" role="tablist" ref={bar} onKeyDown={turn}>
        {TABS.map((name) => (
          <button
            key={name}
            id={`tab-${name}`}
            type="button"
            role="tab"
            aria-selected={tab === name}
            aria-controls="tab-panel"
            tabIndex={tab === name ? 0 : -1}
            onClick={() => setTab(name)}
          >
            {t(`tab.${name}`)}
            {name === "vehicles" && <span className="count">{vehicles}</span>}
            {name === "alerts" && open > 0 && <span className="count">{open}</span>}
          </button>
        ))}
      </div>
      <div className="tab-panel" id="tab-panel" role="tabpanel" aria-labelledby={`tab-${tab}`}>
        {tab === "violations" && <ViolationList />}
        {tab === "alerts" && <AlertList />}
        {tab === "vehicles" && <VehicleList onViolations={() => setTab("violations")} />}
      </div>
    </section>
  );
}

/** Up and down go from row to row of a list. */
export function walkRows(e: KeyboardEvent<HTMLElement>): void {
  if (e.key !== "ArrowDown" && e.key !== "ArrowUp") return;
  const rows = [...e.currentTarget.querySelectorAll<HTMLElement>("button.row")];
  const at = rows.indexOf(document.activeElement as HTMLElement);
  const to = rows[e.key === "ArrowDown" ? at + 1 : at - 1];
  if (!to) return;
  e.preventDefault();
  to.focus();
}
