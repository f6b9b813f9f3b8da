// What a running cluster tells other commands: `cluster.json`.

import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { isRecord, parseJson } from "../base/json.ts";
import type { DataDir } from "./data-dir.ts";
import { runningHolder } from "./lock.ts";

export interface ClusterState {
  readonly pid: number;
  readonly mode: "transparent" | "explicit";
  /** One line: why this mode. */
  readonly modeReason: string;
  readonly api: string;
  readonly nodeIP: string;
  /** Where the page is served. */
  readonly dashboard: string;
  readonly startedAt: string;
  readonly phase: "starting" | "ready";
}

export function writeState(dir: DataDir, state: ClusterState): void {
  const temporary = `${dir.state}.${state.pid}`;
  writeFileSync(temporary, `${JSON.stringify(state, null, 2)}\n`);
  renameSync(temporary, dir.state);
}

export function clearState(dir: DataDir): void {
  rmSync(dir.state, { force: true });
}

/** Undefined when nothing runs, whatever a former cluster left behind. */
export function readState(dir: DataDir): ClusterState | undefined {
  const holder = runningHolder(dir);
  if (holder === undefined) return undefined;
  let text: string;
  try {
    text = readFileSync(dir.state, "utf8");
  } catch {
    return undefined;
  }
  const parsed = parseJson(text);
  const state = parsed.ok ? parseState(parsed.value) : undefined;
  return state?.pid === holder.pid ? state : undefined;
}

function parseState(value: unknown): ClusterState | undefined {
  if (!isRecord(value)) return undefined;
  const { pid, mode, modeReason, api, nodeIP, dashboard, startedAt, phase } = value;
  if (typeof pid !== "number" || (mode !== "transparent" && mode !== "explicit")) return undefined;
  if (phase !== "starting" && phase !== "ready") return undefined;
  if (typeof api !== "string" || typeof nodeIP !== "string" || typeof startedAt !== "string") return undefined;
  return {
    ...{ pid, mode, api, nodeIP, startedAt, phase },
    modeReason: typeof modeReason === "string" ? modeReason : "",
    dashboard: typeof dashboard === "string" ? dashboard : "",
  };
}
