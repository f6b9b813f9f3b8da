// `weft up -d`: the same command in the background, and back as soon as it is ready.

import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { err, ok, type Result } from "../base/result.ts";
import type { DataDir } from "./data-dir.ts";
import type { ClusterError } from "./failure.ts";
import { FOLLOW_INTERVAL_MS, READY_TIMEOUT_MS } from "./limits.ts";
import { type ClusterState, readState } from "./state.ts";

const TAIL_LINES = 8;

export async function startDetached(
  dir: DataDir,
  argv: readonly string[],
): Promise<Result<ClusterState, ClusterError>> {
  const log = openSync(dir.log, "a", 0o600);
  const beganAt = statSync(dir.log).size;
  const child = spawn(process.execPath, argv, { detached: true, stdio: ["ignore", log, log] });
  closeSync(log);
  let ended: string | undefined;
  child.on("error", (error) => {
    ended = error.message;
  });
  child.on("exit", (code, signal) => {
    ended = signal === null ? `exit code ${code}` : signal;
  });
  const deadline = Date.now() + READY_TIMEOUT_MS;
  while (ended === undefined && Date.now() < deadline) {
    const state = readState(dir);
    if (state?.phase === "ready" && state.pid === child.pid) {
      child.unref();
      return ok(state);
    }
    await sleep(FOLLOW_INTERVAL_MS);
  }
  const said = readFileSync(dir.log, "utf8").slice(beganAt).trim().split("\n").slice(-TAIL_LINES).join("\n      ");
  if (ended === undefined) {
    child.kill("SIGTERM");
    return err({
      message: `the cluster was not ready within ${READY_TIMEOUT_MS / 1_000} s:\n      ${said}`,
      next: `See ${dir.log}.`,
    });
  }
  return err({ message: `the cluster did not start (${ended}):\n      ${said}`, next: `See ${dir.log}.` });
}
