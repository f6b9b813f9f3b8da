// A running container's three probes: the startup probe holds the others back, the liveness probe ends the run.

import type { Container, Probe } from "../api/kubernetes/container.ts";
import type { Clock } from "../base/clock.ts";
import { type ActionTarget, act } from "./action.ts";
import { type ProbeKind, ProbeLoop } from "./probe-loop.ts";

export interface ContainerProbesOptions {
  readonly container: Container;
  readonly clock: Clock;
  readonly target: ActionTarget;
  readonly onChange: () => void;
  readonly onEvent: (event: {
    readonly type: "Normal" | "Warning";
    readonly reason: string;
    readonly message: string;
  }) => void;
  /** The container must be ended, with the probe's own grace if it has one. */
  readonly onUnhealthy: (graceSeconds: number | undefined) => void;
}

export class ContainerProbes {
  started: boolean;
  ready: boolean;
  readonly #options: ContainerProbesOptions;
  #loops: ProbeLoop[] = [];
  #stopped = false;

  constructor(options: ContainerProbesOptions) {
    this.#options = options;
    const { startupProbe } = options.container;
    this.started = startupProbe === undefined;
    this.ready = false;
    if (startupProbe === undefined) this.#begin();
    else {
      this.#loop("startup", startupProbe, (healthy) => {
        if (!healthy) {
          this.#fatal("startup", startupProbe);
          return;
        }
        this.started = true;
        this.#clear();
        this.#begin();
        this.#options.onChange();
      });
    }
  }

  stop(): void {
    this.#stopped = true;
    this.ready = false;
    this.#clear();
  }

  #begin(): void {
    const { livenessProbe, readinessProbe } = this.#options.container;
    this.ready = readinessProbe === undefined;
    if (readinessProbe !== undefined) {
      this.#loop("readiness", readinessProbe, (healthy) => {
        this.ready = healthy;
        this.#options.onChange();
      });
    }
    if (livenessProbe !== undefined) {
      this.#loop("liveness", livenessProbe, (healthy) => {
        if (!healthy) this.#fatal("liveness", livenessProbe);
      });
    }
  }

  #fatal(kind: ProbeKind, probe: Probe): void {
    const { container, onEvent, onUnhealthy } = this.#options;
    this.stop();
    onEvent({
      type: "Normal",
      reason: "Killing",
      message: `Container ${container.name} failed ${kind} probe, will be restarted`,
    });
    onUnhealthy(probe.terminationGracePeriodSeconds);
  }

  #loop(kind: ProbeKind, probe: Probe, onVerdict: (healthy: boolean) => void): void {
    const { clock, onEvent, target } = this.#options;
    const title = `${kind.charAt(0).toUpperCase()}${kind.slice(1)}`;
    const loop = new ProbeLoop({
      kind,
      probe,
      clock,
      check: (timeoutMs) => act(probe, target, timeoutMs),
      onVerdict: (healthy) => {
        if (!this.#stopped) onVerdict(healthy);
      },
      onFailure: (message) => {
        onEvent({ type: "Warning", reason: "Unhealthy", message: `${title} probe failed: ${message}` });
      },
    });
    this.#loops.push(loop);
  }

  #clear(): void {
    for (const loop of this.#loops) loop.stop();
    this.#loops = [];
  }
}
