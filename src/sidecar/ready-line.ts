// That a sidecar is ready, said once: how long its start took, in the log and as Istio's metric.

import type { Log } from "../observe/log.ts";
import type { Registry } from "../observe/metrics.ts";
import { collectGarbage } from "../proxy/socket/runtime.ts";
import type { Process } from "./process.ts";

export function sayReady({ clock, startedAtMs }: Process, registry: Registry, log: Log): void {
  const tookMs = clock.monotonicMs() - startedAtMs;
  registry
    .scope({ statPrefix: "", namePrefix: "", labels: {} })
    .gauge("istio_agent_startup_duration_seconds")
    .set(tookMs / 1000);
  collectGarbage();
  log.info(`ready after ${Math.round(tookMs)} ms`);
}
