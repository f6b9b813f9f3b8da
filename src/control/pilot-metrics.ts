// The control plane's own numbers, under the names that istiod gives them.

import type { Clock } from "../base/clock.ts";
import { SOURCES } from "../ingest/kinds.ts";
import type { ResourceName, ResourceSet } from "../ingest/resources.ts";
import type { MeshSnapshot } from "../model/snapshot.ts";
import type { Histogram, Registry, Scope } from "../observe/metrics.ts";
import { writePrometheus } from "../observe/prometheus.ts";
import { type ResourceType, SHORT_NAMES, TYPES } from "../serve/resource.ts";
import { meshProblems, PROBLEMS } from "./mesh-problems.ts";
import { METRIC_HELP } from "./metric-help.ts";

/** Seconds, from what one proxy costs to what nobody should wait for. */
const SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3, 5, 10, 20, 30];
const BYTES = [1_000, 10_000, 100_000, 1_000_000, 4_000_000, 10_000_000, 40_000_000];

type WatchEventType = "added" | "modified" | "deleted";

export class PilotMetrics {
  readonly #registry: Registry;
  readonly #scope: Scope;
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly #version: string;
  #snapshot: MeshSnapshot | undefined;

  constructor(registry: Registry, clock: Clock, version: string) {
    this.#registry = registry;
    this.#scope = registry.scope({ statPrefix: "", namePrefix: "", labels: {} });
    this.#clock = clock;
    this.#startedMs = clock.monotonicMs();
    this.#version = version;
    this.#scope.gauge("pilot_info", { version }).set(1);
    this.#scope.gauge("istiod_managed_clusters", { cluster_type: "local" }).set(1);
    // What has not happened yet is zero, not absent: alerts compare with it.
    this.connected(0);
    this.#scope.counter("pilot_total_xds_rejects");
    for (const type of TYPES) {
      const label = { type: SHORT_NAMES[type] };
      this.#scope.counter("pilot_xds_pushes", label);
      this.#scope.counter("pilot_xds_expired_nonce", label);
      this.#scope.counter(`pilot_xds_${SHORT_NAMES[type]}_reject`);
    }
  }

  connected(count: number): void {
    this.#scope.gauge("pilot_xds", { version: this.#version }).set(count);
  }

  pushed(type: ResourceType, bytes: number, seconds: number): void {
    const label = { type: SHORT_NAMES[type] };
    this.#scope.counter("pilot_xds_pushes", label).inc();
    this.#scope.histogram("pilot_xds_push_time", label, SECONDS).observe(seconds);
    this.#scope.histogram("pilot_xds_config_size_bytes", label, BYTES).observe(bytes);
  }

  sent(seconds: number): void {
    this.#seconds("pilot_xds_send_time").observe(seconds);
  }

  queued(seconds: number): void {
    this.#seconds("pilot_proxy_queue_time").observe(seconds);
  }

  expired(type: ResourceType): void {
    this.#scope.counter("pilot_xds_expired_nonce", { type: SHORT_NAMES[type] }).inc();
  }

  refused(type: ResourceType): void {
    this.#scope.counter("pilot_total_xds_rejects").inc();
    this.#scope.counter(`pilot_xds_${SHORT_NAMES[type]}_reject`).inc();
  }

  /** From a snapshot to the proxy that runs it. */
  converged(seconds: number): void {
    this.#seconds("pilot_proxy_convergence_time").observe(seconds);
  }

  event(resource: ResourceName, type: WatchEventType): void {
    const { kind } = SOURCES[resource];
    const event = ({ added: "add", modified: "update", deleted: "delete" } as const)[type];
    const isConfig = kind.origin === "custom";
    const name = isConfig ? "pilot_k8s_cfg_events" : "pilot_k8s_reg_events";
    this.#scope.counter(name, { type: isConfig ? kind.kind : (REGISTRY_NAMES[resource] ?? kind.kind), event }).inc();
    this.#scope.counter("pilot_inbound_updates", { type: updateOf(resource, event) }).inc();
  }

  snapshot(snapshot: MeshSnapshot, build: { readonly buildMs: number; readonly waitedMs: number }): void {
    for (const type of triggersOf(this.#snapshot?.resources, snapshot.resources)) {
      this.#scope.counter("pilot_push_triggers", { type }).inc();
    }
    this.#snapshot = snapshot;
    this.#seconds("pilot_pushcontext_init_seconds").observe(build.buildMs / 1_000);
    this.#seconds("pilot_debounce_time").observe(build.waitedMs / 1_000);
  }

  /** What is counted when somebody looks is counted now. */
  page(process: { readonly rssBytes: number; readonly cpuSeconds: number }): string {
    this.#scope.gauge("istiod_uptime_seconds").set((this.#clock.monotonicMs() - this.#startedMs) / 1_000);
    this.#scope.gauge("process_resident_memory_bytes").set(process.rssBytes);
    const cpu = this.#scope.counter("process_cpu_seconds_total");
    cpu.inc(Math.max(0, process.cpuSeconds - cpu.value));
    if (this.#snapshot !== undefined) {
      this.#scope.gauge("pilot_services").set(this.#snapshot.services.size);
      this.#scope.gauge("pilot_virt_services").set(this.#snapshot.resources.virtualServices.size);
      const problems = meshProblems(this.#snapshot);
      for (const name of PROBLEMS) this.#scope.gauge(name).set(problems[name].length);
    }
    return writePrometheus(this.#registry.series(), undefined, METRIC_HELP);
  }

  #seconds(name: string): Histogram {
    return this.#scope.histogram(name, undefined, SECONDS);
  }
}

/** Istio's words for Kubernetes' own kinds. */
const REGISTRY_NAMES: Readonly<Partial<Record<ResourceName, string>>> = {
  services: "Services",
  endpointSlices: "EndpointSlice",
  pods: "Pods",
  namespaces: "Namespaces",
};

function updateOf(resource: ResourceName, event: "add" | "update" | "delete"): string {
  if (resource === "services") return event === "delete" ? "svcdelete" : "svc";
  return resource === "endpointSlices" || resource === "pods" ? "eds" : "config";
}

/** Why there is a new snapshot, each reason once. */
function triggersOf(before: ResourceSet | undefined, after: ResourceSet): ReadonlySet<string> {
  if (before === undefined) return new Set(["global"]);
  const reasons = new Set<string>();
  if (before.services !== after.services) reasons.add("service");
  if (before.endpointSlices !== after.endpointSlices || before.pods !== after.pods) reasons.add("endpoint");
  if (before.namespaces !== after.namespaces) reasons.add("namespace");
  if (before.meshConfigs !== after.meshConfigs) reasons.add("global");
  const { services: _s, endpointSlices: _e, pods: _p, namespaces: _n, meshConfigs: _m, ...config } = after;
  const changed = Object.entries(config).some(
    ([name, map]) => Object.entries(before).find(([key]) => key === name)?.[1] !== map,
  );
  if (changed) reasons.add("config");
  return reasons;
}
