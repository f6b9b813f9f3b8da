// Where one is: the address after the mark, as words. The browser's back and forward work by it.

import { computed, signal } from "@preact/signals";

const hash = signal(location.hash);
addEventListener("hashchange", () => {
  hash.value = location.hash;
});

export interface Route {
  readonly view: string;
  readonly rest: readonly string[];
  readonly query: URLSearchParams;
}

export const route = computed<Route>(() => {
  const [path = "", query = ""] = hash.value.replace(/^#\/?/, "").split("?");
  const [view = "", ...rest] = path.split("/").map(decodeURIComponent);
  return { view: view === "" ? "graph" : view, rest, query: new URLSearchParams(query) };
});

export function href(view: string, ...rest: readonly string[]): string {
  return `#/${[view, ...rest].map(encodeURIComponent).join("/")}`;
}

/** `namespace/name` as two words of an address. */
export function hrefOf(view: string, id: string): string {
  const at = id.indexOf("/");
  return href(view, id.slice(0, at), id.slice(at + 1));
}

export function goTo(address: string): void {
  location.hash = address;
}
