// The overload manager: looks at the memory from time to time, and says what is turned away until it has become less.

import type { Clock, Timer } from "../../base/clock.ts";
import type { Counter, Gauge, Registry } from "../../observe/metrics.ts";
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

interface Monitor {
  readonly config: MonitorConfig;
  readonly pressure: Gauge;
  readonly failed: Counter;
}

interface Action {
  readonly config: OverloadActionConfig;
  readonly active: Gauge;
  readonly percent: Gauge;
}

export class OverloadManager {
  readonly #refreshMs: number;
  readonly #monitors: readonly Monitor[];
  readonly #actions: readonly Action[];
  readonly #around: OverloadAround;
  readonly #pressures = new Map<string, number>();
  #timer: Timer | undefined;

  constructor(config: OverloadConfig, around: OverloadAround) {
    this.#refreshMs = config.refreshMs;
    this.#around = around;
    this.#monitors = config.monitors.map((one) => {
      const scope = around.registry.scope(names(one.name));
      return { config: one, pressure: scope.gauge("pressure"), failed: scope.counter("failed_updates") };
    });
    this.#actions = config.actions.map((one) => {
      const scope = around.registry.scope(names(one.name));
      return { config: one, active: scope.gauge("active"), percent: scope.gauge("scale_percent") };
    });
    around.overload.look = () => this.#look();
  }

  start(): void {
    this.#look();
    this.#timer = this.#around.clock.after(this.#refreshMs, () => this.start());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #look(): void {
    for (const monitor of this.#monitors) this.#measure(monitor);
    const shares = { "refuse-requests": 0, "end-keep-alive": 0, "refuse-connections": 0, collect: 0 };
    for (const { config, active, percent } of this.#actions) {
      const share = this.#share(config);
      shares[config.effect] = Math.max(shares[config.effect], share);
      active.set(share === 1 ? 1 : 0);
      percent.set(Math.round(share * 100));
    }
    const { overload } = this.#around;
    overload.refuseRequests = shares["refuse-requests"];
    overload.endKeepAlive = shares["end-keep-alive"];
    overload.refuseConnections = shares["refuse-connections"];
    if (shares.collect > 0) this.#around.collect();
  }

  #measure({ config, pressure, failed }: Monitor): void {
    const share = this.#around.pressure(config);
    if (share === undefined) failed.inc();
    this.#pressures.set(config.name, share ?? 0);
    pressure.set(Math.round((share ?? 0) * 100));
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
