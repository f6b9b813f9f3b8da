// The control plane's own numbers, under the names that istiod gives them.

import { SOURCES } from "../ingest/kinds.ts";
import type { ResourceName } from "../ingest/resources.ts";
import type { MeshSnapshot } from "../model/snapshot.ts";
import type { Registry } from "../observe/metrics.ts";
import { type ResourceType, SHORT_NAMES } from "../serve/resource.ts";

export class PilotMetrics {
  readonly #scope;

  constructor(registry: Registry) {
    this.#scope = registry.scope({ statPrefix: "", namePrefix: "", labels: {} });
    this.#scope.gauge("pilot_info", { version: "weft" }).set(1);
  }

  connected(count: number): void {
    this.#scope.gauge("pilot_xds", { version: "weft" }).set(count);
  }

  pushed(type: ResourceType, bytes: number): void {
    this.#scope.counter("pilot_xds_pushes", { type: SHORT_NAMES[type] }).inc();
    this.#scope.counter("pilot_xds_push_bytes", { type: SHORT_NAMES[type] }).inc(bytes);
  }

  refused(type: ResourceType): void {
    this.#scope.counter("pilot_total_xds_rejects").inc();
    this.#scope.counter(`pilot_xds_${SHORT_NAMES[type]}_reject`).inc();
  }

  /** From a snapshot to the proxy that runs it, in seconds. */
  converged(seconds: number): void {
    this.#scope.histogram("pilot_proxy_convergence_time").observe(seconds);
  }

  event(resource: ResourceName, event: string): void {
    const { origin } = SOURCES[resource].kind;
    const name = origin === "custom" ? "pilot_k8s_cfg_events" : "pilot_k8s_reg_events";
    this.#scope.counter(name, { type: resource, event }).inc();
  }

  snapshot(snapshot: MeshSnapshot, buildMs: number): void {
    this.#scope.gauge("pilot_services").set(snapshot.services.size);
    this.#scope.gauge("pilot_virt_services").set(snapshot.resources.virtualServices.size);
    this.#scope.counter("pilot_push_triggers", { type: "config" }).inc();
    this.#scope.histogram("pilot_pushcontext_init_seconds").observe(buildMs / 1_000);
  }
}
