// What containers use, from the kernel's own accounting of their processes: measured only when somebody asks.

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { ContainerUsage, NodeUsage, PodUsage } from "../apiserver/pod-runtime.ts";
import type { Clock } from "../base/clock.ts";
import { USAGE_WINDOW_MAX_MS, USAGE_WINDOW_MIN_MS } from "./limits.ts";
import type { ProcessFacts, Sandbox } from "./sandbox.ts";

export interface UsagePod {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly sandbox: Sandbox;
}

interface Measured extends ProcessFacts {
  readonly cpuNanos: number;
  readonly memoryBytes: number;
}

interface Sample {
  readonly atMs: number;
  readonly processes: ReadonlyMap<number, Measured>;
}

/** The kernel's clock tick, in which it counts CPU time: 100 a second on every Linux there is. */
const TICK_NANOS = 10_000_000;

export class UsageMeter {
  readonly #clock: Clock;
  readonly #node: string;
  #last: Sample | undefined;
  #measuring: Promise<{ readonly before: Sample; readonly now: Sample }> | undefined;

  constructor(clock: Clock, node: string) {
    this.#clock = clock;
    this.#node = node;
  }

  async usage(pods: readonly UsagePod[]): Promise<NodeUsage> {
    this.#measuring ??= this.#measure().finally(() => {
      this.#measuring = undefined;
    });
    const { before, now } = await this.#measuring;
    const windowMs = now.atMs - before.atMs;
    return { node: this.#node, windowMs, pods: pods.map((pod) => usageOf(pod, before, now)) };
  }

  /** Since the last question where that is not long ago, else over a moment from now. */
  async #measure(): Promise<{ readonly before: Sample; readonly now: Sample }> {
    const nowMs = this.#clock.monotonicMs();
    let before = this.#last;
    if (before === undefined || nowMs - before.atMs > USAGE_WINDOW_MAX_MS) before = this.#sample();
    const leftMs = USAGE_WINDOW_MIN_MS - (this.#clock.monotonicMs() - before.atMs);
    if (leftMs > 0) await new Promise<void>((resolve) => this.#clock.after(leftMs, resolve));
    const now = this.#sample();
    this.#last = now;
    return { before, now };
  }

  #sample(): Sample {
    return { atMs: this.#clock.monotonicMs(), processes: readProcesses() };
  }
}

function usageOf(pod: UsagePod, before: Sample, now: Sample): PodUsage {
  const perSecond = 1000 / Math.max(1, now.atMs - before.atMs);
  const containers = [...pod.sandbox.owners()].map(([container, isOwn]): ContainerUsage => {
    const own = [...now.processes.values()].filter(isOwn);
    const spent = own.reduce((sum, each) => sum + each.cpuNanos - (before.processes.get(each.pid)?.cpuNanos ?? 0), 0);
    return {
      container,
      cpuNanos: Math.max(0, Math.round(spent * perSecond)),
      memoryBytes: own.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0),
    };
  });
  return { uid: pod.uid, namespace: pod.namespace, pod: pod.name, containers };
}

function readProcesses(): ReadonlyMap<number, Measured> {
  const processes = new Map<number, Measured>();
  for (const name of namesIn("/proc")) {
    const measured = /^\d+$/.test(name) ? readProcess(Number(name)) : undefined;
    if (measured !== undefined) processes.set(measured.pid, measured);
  }
  return processes;
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    // No such directory: not a Linux.
    return [];
  }
}

/** The name in a stat line may hold anything, so fields are counted from its end. */
function readProcess(pid: number): Measured | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const resident = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return {
      pid,
      session: Number(fields[3]),
      pidNamespace: readlinkSync(`/proc/${pid}/ns/pid`),
      cpuNanos: (Number(fields[11]) + Number(fields[12])) * TICK_NANOS,
      memoryBytes: Number(resident ?? 0) * 1024,
    };
  } catch {
    // It has ended, or is none of ours to look into.
    return undefined;
  }
}
