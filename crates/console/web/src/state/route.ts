/** Where the page is: nothing chosen, a violation or a vehicle; its address can be kept. */

import { Store } from "./store";

export type Route =
  | { at: "home" }
  | { at: "violation"; id: string }
  | { at: "vehicle"; id: string };

export function parse(path: string): Route {
  const parts = /^\/(violations|vehicles)\/([^/]+)$/.exec(path);
  if (!parts) return { at: "home" };
  const id = decode(parts[2] as string);
  return { at: parts[1] === "violations" ? "violation" : "vehicle", id };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function path(route: Route): string {
  if (route.at === "home") return "/";
  const folder = route.at === "violation" ? "violations" : "vehicles";
  return `/${folder}/${encodeURIComponent(route.id)}`;
}

export const route = new Store<Route>({ at: "home" });

export function go(to: Route): void {
  const address = path(to);
  if (address !== location.pathname) history.pushState(null, "", address);
  route.set(to);
}

/** Follows the browser's back and forward. */
export function startRoute(): void {
  const read = () => route.set(parse(location.pathname));
  window.addEventListener("popstate", read);
  read();
}
