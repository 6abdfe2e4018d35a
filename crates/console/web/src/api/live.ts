/** The live stream: opened again after a break, with what was missed asked for. */

import type { LivePosition, Violation } from "./types";

export interface Listener {
  position(p: LivePosition): void;
  violation(v: Violation): void;
  /** The page fell behind: read the lists again. */
  reload(): void;
  connected(yes: boolean): void;
}

const AGAIN_MS = 5000;

/** Follows the stream until the returned function is called. */
export function follow(listener: Listener): () => void {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let broken = false;

  const again = (after: number) => {
    source?.close();
    clearTimeout(timer);
    timer = setTimeout(open, after);
  };
  const open = () => {
    source = new EventSource("/api/v1/live");
    source.onopen = () => {
      listener.connected(true);
      // Positions are only ever the present: after a break the lists are read again.
      if (broken) listener.reload();
      broken = false;
    };
    source.onerror = () => {
      broken = true;
      listener.connected(false);
      // Closed means refused; otherwise the browser connects again by itself.
      if (source?.readyState === EventSource.CLOSED) again(AGAIN_MS);
    };
    source.addEventListener("position", (e) => listener.position(JSON.parse(e.data)));
    source.addEventListener("violation", (e) => listener.violation(JSON.parse(e.data)));
    source.addEventListener("reload", () => {
      listener.reload();
      again(500);
    });
  };
  open();
  return () => {
    clearTimeout(timer);
    source?.close();
  };
}
