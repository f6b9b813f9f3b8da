// Limits by control group, version 1 or 2, where the memory and cpu controllers can be written; else they are only
// recorded, and the note says so.

import { createHash } from "node:crypto";
import { accessSync, constants, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { ResourceLimits } from "../sandbox.ts";
import { CGROUP_REMOVE_INTERVAL_MS, CGROUP_REMOVE_TRIES, CGROUPS_SEARCHED_MAX } from "./limits.ts";

export interface ContainerCgroup {
  /** A process that writes 0 here puts itself under the limits. */
  readonly processFiles: readonly string[];
  oomKills(): number;
  remove(): Promise<void>;
}

export interface CgroupTree {
  /** What holds of the limits here, for people. */
  readonly note: string;
  create(name: string, limits: ResourceLimits): ContainerCgroup | undefined;
  remove(): Promise<void>;
}

type Parents =
  | { readonly version: 1; readonly memory: string | undefined; readonly cpu: string | undefined }
  | { readonly version: 2; readonly both: string };

const CPU_PERIOD_US = 100_000;
/** The kernel refuses a smaller quota. */
const CPU_QUOTA_MIN_US = 1_000;

/** Leftovers of an earlier run on the same data directory are removed first. */
export async function openCgroups(dataDirectory: string): Promise<CgroupTree> {
  const name = cgroupName(dataDirectory);
  await removeLeftovers(name);
  const parents = findParents(name);
  if (parents === undefined) {
    return {
      note: "resource limits are recorded, not enforced: no writable memory or cpu control group (run as root to have them enforced)",
      create: () => undefined,
      remove: () => Promise.resolve(),
    };
  }
  const directories =
    parents.version === 2 ? [parents.both] : [parents.memory, parents.cpu].filter((d) => d !== undefined);
  return {
    note: noteOf(parents),
    create: (child, limits) => createCgroup(parents, child, limits),
    remove: async () => {
      for (const directory of directories) {
        await removeChildren(directory);
        await removeDirectory(directory);
      }
    },
  };
}

/** The same in every run on one data directory. */
export function cgroupName(dataDirectory: string): string {
  return `weft-${createHash("sha256").update(dataDirectory).digest("hex").slice(0, 12)}`;
}

function noteOf(parents: Parents): string {
  if (parents.version === 2) return "resource limits are enforced (cgroup v2: memory, cpu)";
  const enforced = [parents.memory && "memory", parents.cpu && "cpu"].filter(Boolean).join(", ");
  return `resource limits are enforced (cgroup v1: ${enforced})`;
}

function findParents(name: string): Parents | undefined {
  const mounts = readText("/proc/self/mountinfo").split("\n").map(parseMount);
  const memory = versionOneParent(mounts, "memory", name);
  const cpu = versionOneParent(mounts, "cpu", name);
  if (memory !== undefined || cpu !== undefined) return { version: 1, memory, cpu };
  const unified = mounts.find((mount) => mount.type === "cgroup2")?.directory;
  const both = unified === undefined ? undefined : versionTwoParent(unified, name);
  return both === undefined ? undefined : { version: 2, both };
}

interface CgroupMount {
  readonly directory: string;
  readonly type: string;
  readonly options: readonly string[];
}

function parseMount(line: string): CgroupMount {
  const [before = "", after = ""] = line.split(" - ");
  const [type = "", , options = ""] = after.split(" ");
  return { directory: before.split(" ")[4] ?? "", type, options: options.split(",") };
}

function versionOneParent(mounts: readonly CgroupMount[], controller: string, name: string): string | undefined {
  const mount = mounts.find((candidate) => candidate.type === "cgroup" && candidate.options.includes(controller));
  if (mount === undefined) return undefined;
  const own = readText("/proc/self/cgroup")
    .split("\n")
    .map((line) => line.split(":"))
    .find((fields) => fields[1]?.split(",").includes(controller))?.[2];
  return makeDirectory(join(mount.directory, own ?? "/", name)) ?? makeDirectory(join(mount.directory, name));
}

// Version 2 has limits only on groups whose parent holds no process itself: the group is made at the top.
function versionTwoParent(unified: string, name: string): string | undefined {
  const directory = makeDirectory(join(unified, name));
  if (directory === undefined) return undefined;
  if (
    write(join(unified, "cgroup.subtree_control"), "+memory +cpu") &&
    write(join(directory, "cgroup.subtree_control"), "+memory +cpu")
  ) {
    return directory;
  }
  removeQuietly(directory);
  return undefined;
}

function createCgroup(parents: Parents, child: string, limits: ResourceLimits): ContainerCgroup | undefined {
  if (limits.memoryBytes === undefined && limits.cpuMillis === undefined) return undefined;
  return parents.version === 2
    ? createVersionTwo(parents.both, child, limits)
    : createVersionOne(parents, child, limits);
}

function createVersionOne(
  parents: { readonly memory: string | undefined; readonly cpu: string | undefined },
  child: string,
  limits: ResourceLimits,
): ContainerCgroup | undefined {
  const made: string[] = [];
  let events: string | undefined;
  if (parents.memory !== undefined && limits.memoryBytes !== undefined) {
    const directory = makeDirectory(join(parents.memory, child));
    if (directory !== undefined) {
      made.push(directory);
      events = join(directory, "memory.oom_control");
      write(join(directory, "memory.limit_in_bytes"), String(limits.memoryBytes));
      // Swap counts too, where the kernel accounts for it: else a process would swap instead of being ended.
      write(join(directory, "memory.memsw.limit_in_bytes"), String(limits.memoryBytes));
    }
  }
  if (parents.cpu !== undefined && limits.cpuMillis !== undefined) {
    const directory = makeDirectory(join(parents.cpu, child));
    if (directory !== undefined) {
      made.push(directory);
      write(join(directory, "cpu.cfs_period_us"), String(CPU_PERIOD_US));
      write(join(directory, "cpu.cfs_quota_us"), String(quotaUs(limits.cpuMillis)));
    }
  }
  return made.length === 0 ? undefined : cgroupOf(made, events);
}

function createVersionTwo(parent: string, child: string, limits: ResourceLimits): ContainerCgroup | undefined {
  const directory = makeDirectory(join(parent, child));
  if (directory === undefined) return undefined;
  if (limits.memoryBytes !== undefined) {
    write(join(directory, "memory.max"), String(limits.memoryBytes));
    write(join(directory, "memory.swap.max"), "0");
  }
  if (limits.cpuMillis !== undefined) {
    write(join(directory, "cpu.max"), `${quotaUs(limits.cpuMillis)} ${CPU_PERIOD_US}`);
  }
  return cgroupOf([directory], join(directory, "memory.events"));
}

function cgroupOf(directories: readonly string[], events: string | undefined): ContainerCgroup {
  return {
    processFiles: directories.map((directory) => join(directory, "cgroup.procs")),
    oomKills: () => Number(/^oom_kill (\d+)$/m.exec(events === undefined ? "" : readText(events))?.[1] ?? 0),
    remove: async () => {
      for (const directory of directories) await removeDirectory(directory);
    },
  };
}

function quotaUs(cpuMillis: number): number {
  return Math.max(CPU_QUOTA_MIN_US, Math.round((cpuMillis * CPU_PERIOD_US) / 1000));
}

// The earlier run may have been started from another session, and its groups then lie below that session's.
async function removeLeftovers(name: string): Promise<void> {
  const mounts = readText("/proc/self/mountinfo").split("\n").map(parseMount);
  const limiting = mounts.filter(
    ({ type, options }) => type === "cgroup2" || (type === "cgroup" && /^(memory|cpu)$/m.test(options.join("\n"))),
  );
  const queue = limiting.map(({ directory }) => directory);
  for (let visited = 0; visited < CGROUPS_SEARCHED_MAX; visited++) {
    const directory = queue.shift();
    if (directory === undefined) return;
    for (const child of childrenOf(directory)) {
      const path = join(directory, child);
      if (child !== name) queue.push(path);
      else {
        await removeChildren(path);
        await removeDirectory(path);
      }
    }
  }
}

async function removeChildren(directory: string): Promise<void> {
  for (const name of childrenOf(directory)) await removeDirectory(join(directory, name));
}

function childrenOf(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}

async function removeDirectory(directory: string): Promise<void> {
  for (let attempt = 0; attempt < CGROUP_REMOVE_TRIES; attempt++) {
    if (removeQuietly(directory)) return;
    await delay(CGROUP_REMOVE_INTERVAL_MS);
  }
}

/** True when the directory is gone. */
function removeQuietly(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ENOENT";
  }
}

function makeDirectory(directory: string): string | undefined {
  try {
    mkdirSync(directory, { recursive: true });
    // An unprivileged user may find a directory that an earlier run as root has left.
    accessSync(join(directory, "cgroup.procs"), constants.W_OK);
    return directory;
  } catch {
    return undefined;
  }
}

function write(file: string, text: string): boolean {
  try {
    writeFileSync(file, text);
    return true;
  } catch {
    return false;
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
