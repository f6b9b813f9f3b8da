// What is written about a running process, so that after a crash it is found again and no stranger is killed in its place.

import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Says in a process's environment which pod it belongs to; its children inherit it. */
export const POD_MARK = "WEFT_POD_UID";

/** One directory of files named by process id; each run of weft has its own below a common one. */
export class Ledger {
  readonly directory: string;

  constructor(parent: string, instance: string) {
    this.directory = join(parent, instance);
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
  }

  record(pid: number, podUid: string): void {
    writeFileSync(join(this.directory, String(pid)), `${startTimeOf(pid) ?? "gone"}\n${podUid}\n`, { mode: 0o600 });
  }

  forget(pid: number): void {
    rmSync(join(this.directory, String(pid)), { force: true });
  }

  close(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Kills what earlier runs left and forgets them. Returns how many process groups were ended. */
export function endLeftovers(parent: string): number {
  let ended = 0;
  for (const instance of namesIn(parent)) {
    const directory = join(parent, instance);
    for (const name of namesIn(directory)) {
      const pid = Number(name);
      const [startTime, podUid] = readText(join(directory, name)).split("\n");
      if (!Number.isInteger(pid) || pid <= 1 || startTime === undefined || podUid === undefined) continue;
      if (groupIsOurs(pid, startTime, podUid) && killGroup(pid, "SIGKILL")) ended += 1;
    }
    rmSync(directory, { recursive: true, force: true });
  }
  return ended;
}

/** False when no process of the group exists any more. */
export function killGroup(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-pid, signal);
    return true;
  } catch (error) {
    // EPERM: the group exists but runs as somebody else, so it isn't ours to end.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** When the process began, in a form that only compares equal for the same process; undefined when there is none. */
function startTimeOf(pid: number): string | undefined {
  if (process.platform === "linux") return statOf(pid)?.[19];
  try {
    const text = execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).trim();
    return text === "" ? undefined : text;
  } catch {
    return undefined;
  }
}

/** The leader is the one we started, or it is gone and a member of its session still carries the pod's mark. */
function groupIsOurs(pid: number, startTime: string, podUid: string): boolean {
  const current = startTimeOf(pid);
  if (current !== undefined) return current === startTime;
  return namesIn("/proc").some((name) => {
    const member = Number(name);
    if (!Number.isInteger(member)) return false;
    return statOf(member)?.[2] === String(pid) && readText(`/proc/${name}/environ`).includes(`${POD_MARK}=${podUid}\0`);
  });
}

/** Fields of /proc/PID/stat from the third (state) on: the second may hold any character. */
function statOf(pid: number): readonly string[] | undefined {
  const text = readText(`/proc/${pid}/stat`);
  const end = text.lastIndexOf(")");
  if (end < 0) return undefined;
  const fields = text.slice(end + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? undefined : fields;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
