// Other processes by id, told apart from later ones that got the same id.

import { readFileSync } from "node:fs";

export interface ProcessId {
  readonly pid: number;
  /** When the kernel started it, in its own clock ticks; empty where the system doesn't tell. */
  readonly startTime: string;
}

export function thisProcess(): ProcessId {
  return { pid: process.pid, startTime: startTimeOf(process.pid) ?? "" };
}

export function isAlive(id: ProcessId): boolean {
  if (!exists(id.pid)) return false;
  const startTime = startTimeOf(id.pid);
  return startTime === undefined || id.startTime === "" || startTime === id.startTime;
}

/** Field 22 of /proc/PID/stat; the name before it may hold anything, so counting begins after its closing bracket. */
export function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A zombie has ended: what it held is free.
    return fields[0] === "Z" ? "ended" : fields[19];
  } catch {
    return undefined;
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
