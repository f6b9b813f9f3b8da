// What several proxies remember of one request, in the order in which it went. Pure.

import type { SeenRequest } from "./collect.ts";

/** By when it began; of two that began in one millisecond the one that took longer had the other inside it. */
export function inOrder(seen: readonly SeenRequest[]): readonly SeenRequest[] {
  return seen.toSorted(
    ({ request: a }, { request: b }) =>
      a.startTimeMs - b.startTimeMs ||
      b.durationMs - a.durationMs ||
      Number(b.direction === "outbound") - Number(a.direction === "outbound"),
  );
}

/** Where it went wrong first: the innermost that failed. */
export function culprit(hops: readonly SeenRequest[]): SeenRequest | undefined {
  return (
    hops.findLast(({ request }) => request.cause !== "" && request.code !== 0) ??
    hops.findLast(({ request }) => request.code >= 500 || request.flags !== "") ??
    hops.findLast(({ request }) => request.code >= 400)
  );
}

/** The port of a cluster: `outbound|8080|v1|api.shop…`, `inbound|8080||`; of neither, that of an address. */
export function portOf(cluster: string, address: string): number {
  const [, port = ""] = /^(?:in|out)bound\|(\d+)\|/.exec(cluster) ?? [];
  return Number(port || address.slice(address.lastIndexOf(":") + 1));
}

/** Whether it went to a service's port through that cluster. */
export function isTo(cluster: string, host: string): boolean {
  const called = cluster.split("|")[3] ?? "";
  return called === host || called.startsWith(`${host}.svc.`);
}
