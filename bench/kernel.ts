// What the kernel says of a process: CPU and memory of it and of whatever it started; and which core each side has.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";

const TICKS_PER_SECOND = 100;

/** User and system time of all threads, the process's and its descendants'. */
export function cpuSeconds(pid: number): number {
  let ticks = 0;
  for (const one of withDescendants(pid)) {
    const stat = read(`/proc/${one}/stat`);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  }
  return ticks / TICKS_PER_SECOND;
}

export interface Memory {
  /** Private_Dirty: what each further process of the kind costs. */
  readonly privateMb: number;
  readonly residentMb: number;
}

export function memory(pid: number): Memory {
  let privateKb = 0;
  let residentKb = 0;
  for (const one of withDescendants(pid)) {
    const rollup = read(`/proc/${one}/smaps_rollup`);
    privateKb += Number(/^Private_Dirty:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0);
    residentKb += Number(/^Rss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0);
  }
  return { privateMb: privateKb / 1024, residentMb: residentKb / 1024 };
}

function withDescendants(pid: number): readonly number[] {
  const found = [pid];
  for (const one of found) {
    for (const thread of list(`/proc/${one}/task`)) {
      const children = read(`/proc/${one}/task/${thread}/children`).split(" ");
      found.push(...children.filter((child) => child !== "").map(Number));
    }
  }
  return found;
}

export interface Pinning {
  readonly proxy: readonly string[];
  readonly load: readonly string[];
  readonly note: string;
}

/** The proxy has a core to itself where there are two; load and origin share the other one. */
export function pinning(): Pinning {
  const free = { proxy: [], load: [] };
  if (os.availableParallelism() < 2) return { ...free, note: "one core for the proxy, the load and the origin" };
  const tried = spawnSync("taskset", ["-cp", "1", String(process.pid)]);
  if (tried.status !== 0) return { ...free, note: "not pinned: no taskset" };
  return {
    proxy: ["taskset", "-c", "0"],
    load: ["taskset", "-c", "1"],
    note: "the proxy on core 0; load and origin on core 1",
  };
}

function list(folder: string): readonly string[] {
  try {
    return fs.readdirSync(folder);
  } catch {
    return [];
  }
}

/** Empty where the process has gone. */
function read(file: string): string {
  try {
    return fs.readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
