// One cluster for one data directory: a lock file that names its holder, and outlives no holder.

import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { isRecord, parseJson } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { DataDir } from "./data-dir.ts";
import type { ClusterError } from "./failure.ts";
import { LOCK_ATTEMPTS_MAX, LOCK_LOOK_MS } from "./limits.ts";
import { isAlive, type ProcessId, thisProcess } from "./process.ts";

export interface Lock {
  readonly holder: ProcessId;
  /** True when the former holder had gone without giving it back: there may be leftovers. */
  readonly takenOver: boolean;
  /** Calls back once when the lock is gone: somebody removed the directory, and no command would find the cluster. */
  onLost(lost: () => void): { stop(): void };
  release(): void;
}

/** Linking a complete file is atomic: nobody ever reads half a lock. */
export function takeLock(dir: DataDir): Result<Lock, ClusterError> {
  const holder = thisProcess();
  const mine = `${dir.lock}.${holder.pid}`;
  let takenOver = false;
  try {
    writeFileSync(mine, `${JSON.stringify(holder)}\n`);
    for (let attempt = 0; attempt < LOCK_ATTEMPTS_MAX; attempt += 1) {
      if (link(mine, dir.lock)) {
        const onLost = (lost: () => void) => watchLock(dir, holder, lost);
        return ok({ holder, takenOver, onLost, release: () => release(dir, holder) });
      }
      const other = readLock(dir);
      if (other !== undefined && isAlive(other)) return err(refusal(dir, other));
      takenOver = true;
      rmSync(dir.lock, { force: true });
    }
    return err({ message: `cannot lock ${dir.root}: others keep taking it`, next: "Try again." });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const isFull = error instanceof Error && "code" in error && error.code === "ENOSPC";
    const next = isFull
      ? "Free some space, or name another directory."
      : "Make it writable, or name another directory.";
    return err({ message: `cannot lock ${dir.root}: ${why}`, next });
  } finally {
    rmSync(mine, { force: true });
  }
}

/** The process that the lock names, alive or not. */
export function readLock(dir: DataDir): ProcessId | undefined {
  let text: string;
  try {
    text = readFileSync(dir.lock, "utf8");
  } catch {
    return undefined;
  }
  const parsed = parseJson(text);
  if (!parsed.ok || !isRecord(parsed.value)) return undefined;
  const { pid, startTime } = parsed.value;
  return typeof pid === "number" && typeof startTime === "string" ? { pid, startTime } : undefined;
}

export function runningHolder(dir: DataDir): ProcessId | undefined {
  const holder = readLock(dir);
  return holder !== undefined && isAlive(holder) ? holder : undefined;
}

function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
}

function watchLock(dir: DataDir, holder: ProcessId, lost: () => void): { stop(): void } {
  const timer = setInterval(() => {
    if (readLock(dir)?.pid === holder.pid) return;
    clearInterval(timer);
    lost();
  }, LOCK_LOOK_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

function release(dir: DataDir, holder: ProcessId): void {
  if (readLock(dir)?.pid === holder.pid) rmSync(dir.lock, { force: true });
}

function refusal(dir: DataDir, other: ProcessId): ClusterError {
  return {
    message: `a cluster already runs on ${dir.root}, process ${other.pid}`,
    next: `Use it ("weft status"), stop it ("weft down --data-dir ${dir.root}"), or name another --data-dir.`,
  };
}
