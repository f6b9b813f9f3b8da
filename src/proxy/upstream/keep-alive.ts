// How long a host lets a connection be idle, learnt from what it says and from what it does: a request must not meet a connection
// that the host is about to close.

import { KEEP_ALIVE_MARGIN_MS_MAX, KEEP_ALIVE_MEMORY_MS } from "../limits.ts";

export class KeepAliveLimit {
  /** A connection that was idle for longer is not used again. */
  limitMs = Number.POSITIVE_INFINITY;
  #told = false;
  #seen: { readonly ageMs: number; readonly atMs: number } | undefined;
  #untilMs = Number.POSITIVE_INFINITY;

  /** The `Keep-Alive` header of a response. */
  onHeader(value: string): void {
    const seconds = Number(/(?:^|[\s,;])timeout=(\d{1,6})(?:$|[\s,;])/i.exec(value)?.[1] ?? Number.NaN);
    if (Number.isNaN(seconds) || seconds === 0) return;
    this.#told = true;
    this.limitMs = before(seconds * 1000);
  }

  /**
   * The host closed a connection that had been idle for so long. One such age may be chance (a restart, a drain); the same age at
   * two times is the host's rule.
   */
  onClosedIdle(ageMs: number, nowMs: number): void {
    if (this.#told || ageMs < AGE_MS_MIN) return;
    const last = this.#seen;
    this.#seen = { ageMs, atMs: nowMs };
    if (last === undefined || nowMs - last.atMs < APART_MS_MIN || Math.abs(last.ageMs - ageMs) > ageMs / 10) return;
    this.limitMs = before(Math.min(ageMs, last.ageMs));
    this.#untilMs = nowMs + KEEP_ALIVE_MEMORY_MS;
  }

  /** What was learnt by watching is tried anew after a while: the host may have been set to wait longer. */
  forget(nowMs: number): void {
    if (nowMs < this.#untilMs) return;
    this.limitMs = Number.POSITIVE_INFINITY;
    this.#untilMs = Number.POSITIVE_INFINITY;
    this.#seen = undefined;
  }
}

const AGE_MS_MIN = 500;
const APART_MS_MIN = 1000;

/** A little earlier, so that a request that leaves now arrives in time. */
function before(timeoutMs: number): number {
  return timeoutMs - Math.min(KEEP_ALIVE_MARGIN_MS_MAX, Math.max(100, timeoutMs / 5));
}
