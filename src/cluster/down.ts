// Stopping a cluster from outside: ask its process to stop, wait, and say what happened.

import { setTimeout as sleep } from "node:timers/promises";
import { err, ok, type Result } from "../base/result.ts";
import type { DataDir } from "./data-dir.ts";
import type { ClusterError } from "./failure.ts";
import { DOWN_TIMEOUT_MS, FOLLOW_INTERVAL_MS } from "./limits.ts";
import { readLock, runningHolder, takeLock } from "./lock.ts";
import { isAlive } from "./process.ts";
import { clearState } from "./state.ts";

export type DownOutcome =
  | { readonly kind: "stopped"; readonly pid: number }
  | { readonly kind: "cleaned"; readonly pid: number }
  | { readonly kind: "not-running" };

/** `cleanLeftovers` ends what a crashed cluster left running; it is called with the lock held. */
export async function bringDown(
  dir: DataDir,
  cleanLeftovers: () => Promise<void>,
): Promise<Result<DownOutcome, ClusterError>> {
  const holder = runningHolder(dir);
  if (holder !== undefined) {
    try {
      process.kill(holder.pid, "SIGTERM");
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return err({ message: `cannot signal process ${holder.pid}: ${why}`, next: "Run weft down as its owner." });
    }
    const deadline = Date.now() + DOWN_TIMEOUT_MS;
    while (isAlive(holder)) {
      if (Date.now() > deadline) {
        return err({
          message: `process ${holder.pid} did not stop within ${DOWN_TIMEOUT_MS / 1_000} s`,
          next: `Look into ${dir.log}; "kill -9 ${holder.pid}" and weft down again end it by force.`,
        });
      }
      await sleep(FOLLOW_INTERVAL_MS);
    }
    if (readLock(dir) === undefined) return ok({ kind: "stopped", pid: holder.pid });
  }
  const left = readLock(dir);
  if (left === undefined) return ok({ kind: "not-running" });
  const lock = takeLock(dir);
  if (!lock.ok) return lock;
  try {
    await cleanLeftovers();
    clearState(dir);
  } finally {
    lock.value.release();
  }
  return ok({ kind: "cleaned", pid: left.pid });
}
