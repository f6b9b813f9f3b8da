// The child's half of a hot restart: what it listens on goes to its launcher, what the one before it listened on comes from there.

import fs from "node:fs";
import type { Server } from "node:net";
import { parseJson } from "../base/json.ts";
import type { Handover } from "../proxy/socket/handover.ts";

export interface Launched extends Handover {
  /** How many processes there were before this one. */
  readonly epoch: number;
  /** Tells the launcher, which then retires the one before; sockets that nobody asked for are closed. */
  ready(): void;
}

/** Undefined where no launcher started this process. */
export function launched(onRetired: (cause: string) => void): Launched | undefined {
  const { WEFT_LISTENING: listening, WEFT_RESTART_EPOCH: epoch } = process.env;
  if (process.send === undefined || listening === undefined) return undefined;
  const held = new Map<string, number>();
  const entries = parseJson(listening);
  for (const entry of entries.ok && Array.isArray(entries.value) ? entries.value : []) {
    if (Array.isArray(entry) && typeof entry[0] === "string" && typeof entry[1] === "number")
      held.set(entry[0], entry[1]);
  }
  return new FromLauncher(held, Number(epoch ?? 0), onRetired);
}

class FromLauncher implements Launched {
  readonly epoch: number;
  retired = false;
  readonly #held: Map<string, number>;

  constructor(held: Map<string, number>, epoch: number, onRetired: (cause: string) => void) {
    this.#held = held;
    this.epoch = epoch;
    process.on("message", (message: unknown) => {
      if (typeof message !== "object" || message === null || Reflect.get(message, "kind") !== "retire") return;
      this.retired = true;
      onRetired("replaced by a hot restart");
    });
    process.on("disconnect", () => onRetired("the launcher is gone"));
    process.channel?.unref();
  }

  inherited(key: string): number | undefined {
    const fd = this.#held.get(key);
    this.#held.delete(key);
    return fd;
  }

  listening(key: string, server: Server): void {
    // The raw handle: sent as a server, the launcher would accept on it.
    process.send?.({ kind: "listening", key }, Reflect.get(server, "_handle"));
  }

  closed(key: string): void {
    if (process.connected) process.send?.({ kind: "closed", key });
  }

  ready(): void {
    for (const fd of this.#held.values()) fs.closeSync(fd);
    this.#held.clear();
    process.send?.({ kind: "ready" });
  }
}
