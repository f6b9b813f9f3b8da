// How many connections a filter chain may have at a time: those beyond are closed, at once or after a delay.

import type { Socket } from "node:net";
import type { Clock } from "../../base/clock.ts";
import type { Counter, Gauge, Registry } from "../../observe/metrics.ts";
import type { ConnectionLimitConfig } from "../compile/listener.ts";

export class ConnectionLimiter {
  readonly #config: ConnectionLimitConfig;
  readonly #clock: Clock;
  readonly #limited: Counter;
  readonly #active: Gauge;
  #count = 0;

  constructor(config: ConnectionLimitConfig, clock: Clock, registry: Registry) {
    this.#config = config;
    this.#clock = clock;
    const scope = registry.scope({
      statPrefix: `connection_limit.${config.statPrefix}.`,
      namePrefix: "envoy_connection_limit_",
      labels: { envoy_connection_limit_prefix: config.statPrefix },
    });
    this.#limited = scope.counter("limited_connections");
    this.#active = scope.gauge("active_connections");
  }

  /** False: it is one too many, and will be closed. */
  admit(socket: Socket): boolean {
    if (!this.#config.enabled) return true;
    if (this.#count >= this.#config.max) {
      this.#limited.inc();
      socket.on("error", () => socket.destroy());
      if (this.#config.delayMs === 0) socket.destroy();
      else this.#clock.after(this.#config.delayMs, () => socket.destroy());
      return false;
    }
    this.#count += 1;
    this.#active.set(this.#count);
    socket.once("close", () => {
      this.#count -= 1;
      this.#active.set(this.#count);
    });
    return true;
  }
}
