// How full the memory is that the process may use: its own, or that of the control group which the kernel kills it for.

import fs from "node:fs";
import type { MonitorConfig } from "../compile/overload.ts";

/** A control group's files: of the unified hierarchy, or of the older memory controller. */
interface GroupFiles {
  readonly used: string;
  readonly limit: string;
  readonly stat: string;
  /** What of the used bytes the kernel takes back by itself. */
  readonly reclaimable: RegExp;
}

/** Limits above this are none: the older hierarchy has a number near 2^63 for it. */
const LIMIT_BYTES_MAX = 2 ** 50;

export class MemoryPressure {
  readonly #group: GroupFiles | undefined;

  constructor(root = "/sys/fs/cgroup", self = "/proc/self/cgroup") {
    this.#group = groupFiles(root, self);
  }

  /** 0 to 1 and above; undefined where it can't be read. 0 for a group without a limit. */
  of(monitor: MonitorConfig): number | undefined {
    if (monitor.kind === "fixed_heap") return process.memoryUsage.rss() / monitor.maxBytes;
    if (this.#group === undefined) return undefined;
    const used = usedBytes(this.#group);
    const limit = Math.min(limitBytes(this.#group), monitor.maxBytes ?? Number.POSITIVE_INFINITY);
    if (used === undefined) return undefined;
    return limit > LIMIT_BYTES_MAX ? 0 : used / limit;
  }
}

/** Cached files count as used, though the kernel drops them before it kills anybody: without them it is the working set. */
function usedBytes(group: GroupFiles): number | undefined {
  const used = Number.parseInt(read(group.used), 10);
  const reclaimable = Number(group.reclaimable.exec(read(group.stat))?.[1] ?? 0);
  return Number.isNaN(used) ? undefined : Math.max(0, used - reclaimable);
}

/** Infinite where the file says `max` or is not there, as in the root group. */
function limitBytes(group: GroupFiles): number {
  const limit = Number.parseInt(read(group.limit), 10);
  return Number.isNaN(limit) ? Number.POSITIVE_INFINITY : limit;
}

/** In a namespace of its own a container sees its group as the root, so the path that the kernel tells may not be there. */
function groupFiles(root: string, self: string): GroupFiles | undefined {
  const lines = read(self).split("\n");
  const path = (wanted: (controllers: readonly string[]) => boolean) =>
    lines.map((line) => line.split(":")).find(([, controllers]) => wanted((controllers ?? "").split(",")))?.[2];
  const unified = path((controllers) => controllers[0] === "" && controllers.length === 1);
  const older = path((controllers) => controllers.includes("memory"));
  const places = [
    ...(older === undefined ? [] : [`${root}/memory${older}`, `${root}/memory`].map(olderFiles)),
    ...(unified === undefined ? [] : [`${root}${unified}`, root].map(unifiedFiles)),
  ];
  return places.find(({ used }) => fs.existsSync(used));
}

function unifiedFiles(folder: string): GroupFiles {
  return {
    used: `${folder}/memory.current`,
    limit: `${folder}/memory.max`,
    stat: `${folder}/memory.stat`,
    reclaimable: /^inactive_file (\d+)/m,
  };
}

function olderFiles(folder: string): GroupFiles {
  return {
    used: `${folder}/memory.usage_in_bytes`,
    limit: `${folder}/memory.limit_in_bytes`,
    stat: `${folder}/memory.stat`,
    reclaimable: /^total_inactive_file (\d+)/m,
  };
}

function read(file: string): string {
  try {
    return fs.readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
