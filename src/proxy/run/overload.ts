// The overload manager: looks at the memory from time to time, and says what is turned away until it has become less.

import type { Clock, Timer } from "../../base/clock.ts";
import type { Registry } from "../../observe/metrics.ts";
import type { MonitorConfig, OverloadActionConfig, OverloadConfig, TriggerConfig } from "../compile/overload.ts";
import { collectGarbage } from "../socket/runtime.ts";
import type { Overload } from "../stack/overload.ts";
import type { Core } from "../stack/runtime.ts";
import { MemoryPressure } from "./memory-pressure.ts";

export interface OverloadAround {
  readonly clock: Clock;
  readonly registry: Registry;
  readonly overload: Overload;
  /** Used share of what a monitor watches, 0 to 1 and above; undefined where it can't be read. */
  pressure(monitor: MonitorConfig): number | undefined;
  /** Gives back what is no longer used. */
  collect(): void;
}

export class OverloadManager {
  readonly #config: OverloadConfig;
  readonly #around: OverloadAround;
  readonly #pressures = new Map<string, number>();
  #timer: Timer | undefined;

  constructor(config: OverloadConfig, around: OverloadAround) {
    this.#config = config;
    this.#around = around;
    around.overload.look = () => this.#look();
  }

  start(): void {
    this.#look();
    this.#timer = this.#around.clock.after(this.#config.refreshMs, () => this.start());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #look(): void {
    for (const monitor of this.#config.monitors) this.#measure(monitor);
    const shares = { "refuse-requests": 0, "end-keep-alive": 0, "refuse-connections": 0, collect: 0 };
    for (const action of this.#config.actions) {
      const share = this.#share(action);
      shares[action.effect] = Math.max(shares[action.effect], share);
      const scope = this.#around.registry.scope(names(action.name));
      scope.gauge("active").set(share === 1 ? 1 : 0);
      scope.gauge("scale_percent").set(Math.round(share * 100));
    }
    const { overload } = this.#around;
    overload.refuseRequests = shares["refuse-requests"];
    overload.endKeepAlive = shares["end-keep-alive"];
    overload.refuseConnections = shares["refuse-connections"];
    if (shares.collect > 0) this.#around.collect();
  }

  #measure(monitor: MonitorConfig): void {
    const scope = this.#around.registry.scope(names(monitor.name));
    const pressure = this.#around.pressure(monitor);
    if (pressure === undefined) scope.counter("failed_updates").inc();
    this.#pressures.set(monitor.name, pressure ?? 0);
    scope.gauge("pressure").set(Math.round((pressure ?? 0) * 100));
  }

  #share({ triggers }: OverloadActionConfig): number {
    return Math.max(...triggers.map((trigger) => shareOf(trigger, this.#pressures.get(trigger.monitor) ?? 0)));
  }
}

/** The memory as it is read from the kernel. */
export function watchMemory(config: OverloadConfig, core: Core): OverloadManager {
  const memory = new MemoryPressure();
  const { clock, registry, overload } = core;
  const pressure = (monitor: MonitorConfig) => memory.of(monitor);
  return new OverloadManager(config, { clock, registry, overload, pressure, collect: collectGarbage });
}

/** 0 to 1. */
export function shareOf({ from, to }: TriggerConfig, pressure: number): number {
  if (pressure >= to) return 1;
  return pressure <= from ? 0 : (pressure - from) / (to - from);
}

function names(name: string) {
  return { statPrefix: `overload.${name}.`, namePrefix: "envoy_overload_", labels: { envoy_overload_name: name } };
}
