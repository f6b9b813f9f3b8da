// What differs between the runtimes that the proxy's bundle starts on, Node and Bun, and what neither has a public word for.

import type { Socket } from "node:net";

/** The kernel's number of a connection's socket. */
export function fileDescriptor(socket: Socket): number | undefined {
  const handle: unknown = Reflect.get(socket, "_handle");
  const fd: unknown = typeof handle === "object" && handle !== null ? Reflect.get(handle, "fd") : undefined;
  return typeof fd === "number" && fd >= 0 ? fd : undefined;
}

/** Gives back what starting up has left: a few milliseconds, and a sixth of an idle proxy's memory. */
export function collectGarbage(): void {
  const bun: unknown = Reflect.get(globalThis, "Bun");
  if (typeof bun === "object" && bun !== null) {
    const collect: unknown = Reflect.get(bun, "gc");
    if (typeof collect === "function") collect(true);
    return;
  }
  // There with --expose-gc, which the proxy is started with.
  globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
}
