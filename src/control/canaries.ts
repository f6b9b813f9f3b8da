// Carries the Canaries out: looks, decides (canary/machine.ts), writes the status, then the VirtualService.

import type { KubeClient } from "../api/client.ts";
import { type VirtualService, virtualServiceKind } from "../api/istio/virtual-service.ts";
import {
  CANARY_FINALIZER,
  type Canary,
  type CanarySetting,
  type CanaryStatus,
  canaryKind,
} from "../api/weft/canary.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { deepEqual } from "../base/equal.ts";
import { judge, type View } from "../canary/judge.ts";
import { decide, type Live } from "../canary/machine.ts";
import { type Plan, planOf } from "../canary/plan.ts";
import { managedHost, managedRoutes, originalOf, type RouteContext, says, write } from "../canary/routes.ts";
import { EventRecorder } from "../controllers/events.ts";
import type { MeshSnapshot } from "../model/snapshot.ts";
import type { FlowFilter } from "../traffic/query.ts";
import { mergeConditions } from "./conditions.ts";
import { CANARIES_MAX, CANARY_LOOK_MS } from "./limits.ts";
import type { TrafficCollector } from "./traffic.ts";
import { type Version, versionOf } from "./version.ts";

export interface CanariesOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly traffic: TrafficCollector;
  readonly snapshot: () => MeshSnapshot | undefined;
  readonly log: (level: "info" | "warn", message: string) => void;
}

export interface Canaries {
  stop(): void;
}

export function startCanaries(options: CanariesOptions): Canaries {
  const runner = new CanaryRunner(options);
  const watch = options.client.watch(canaryKind, {}, (event) => {
    if (event.type !== "synced") runner.set(event.object, event.type);
  });
  return {
    stop: () => {
      watch.stop();
      runner.stop();
    },
  };
}

class CanaryRunner {
  readonly #options: CanariesOptions;
  readonly #events: EventRecorder;
  readonly #known = new Map<string, Canary>();
  #timer: Timer | undefined;
  #running = false;
  #stopped = false;
  #release: (() => void) | undefined;

  constructor(options: CanariesOptions) {
    this.#options = options;
    this.#events = new EventRecorder(options.client, options.clock, { component: "weft-canary" });
  }

  set(canary: Canary, change: "added" | "modified" | "deleted"): void {
    const key = `${canary.metadata.namespace}/${canary.metadata.name}`;
    if (change === "deleted") this.#known.delete(key);
    else if (this.#known.has(key) || this.#known.size < CANARIES_MAX) this.#known.set(key, canary);
    this.#soon(0);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#release?.();
  }

  #soon(delayMs: number): void {
    this.#timer?.cancel();
    if (!this.#stopped && !this.#running) this.#timer = this.#options.clock.after(delayMs, () => void this.#look());
  }

  async #look(): Promise<void> {
    if (this.#running || this.#stopped) return;
    this.#running = true;
    const active = [...this.#known.values()].filter(isActive);
    this.#follow(active.length > 0);
    for (const canary of active) if (!this.#stopped) await this.#reconcile(canary);
    this.#running = false;
    if ([...this.#known.values()].some(isActive)) this.#soon(CANARY_LOOK_MS);
    else this.#follow(false);
  }

  /** The proxies are asked often while there is something to judge. */
  #follow(wanted: boolean): void {
    if (wanted) this.#release ??= this.#options.traffic.want();
    else {
      this.#release?.();
      this.#release = undefined;
    }
  }

  async #reconcile({ metadata }: Canary): Promise<void> {
    const { client, log, snapshot } = this.#options;
    const ref = { namespace: metadata.namespace ?? "default", name: metadata.name };
    const found = await client.get(canaryKind, ref);
    const world = snapshot();
    if (!found.ok || world === undefined) return;
    const canary = found.value;
    const name = canary.spec.virtualService ?? ref.name;
    const service = await client.get(virtualServiceKind, { namespace: ref.namespace, name });
    const routed = service.ok ? service.value : undefined;
    if (canary.metadata.deletionTimestamp !== undefined) return this.#giveBack(canary, routed);
    if (canary.metadata.finalizers?.includes(CANARY_FINALIZER) !== true) {
      const finalizers = [...(canary.metadata.finalizers ?? []), CANARY_FINALIZER];
      const held = await client.mergePatch(canaryKind, ref, { body: { metadata: { finalizers } } });
      if (!held.ok) log("warn", `Canary ${ref.namespace}/${ref.name}: ${held.error.message}`);
      return;
    }
    await this.#decide(canary, routed, world);
  }

  async #decide(canary: Canary, service: VirtualService | undefined, world: MeshSnapshot): Promise<void> {
    const { clock, log, client } = this.#options;
    const plan = planOf(canary.spec);
    const versions = service === undefined ? undefined : versionsOf(service, plan, world);
    const decision = decide(plan, canary.status, {
      nowMs: clock.wallMs(),
      live: liveOf(service, canary, plan),
      canaryEndpoints: versions?.canary.endpoints ?? 0,
      isPaused: canary.spec.paused === true,
      request: canary.spec.request,
      verdict: (sinceMs, baseline) =>
        judge(versions === undefined ? [] : this.#views(versions, sinceMs), plan.analysis, baseline),
    });
    const status = { ...decision.status, ...conditionsOf(canary, decision.status, clock.wallMs()) };
    if (!deepEqual(status, canary.status)) {
      const written = await client.updateStatus(canaryKind, { ...canary, status });
      // Somebody was faster: the next look decides anew.
      if (!written.ok) return;
      for (const note of decision.notes) this.#events.record({ about: canary, ...note });
    }
    if (decision.set === undefined || service === undefined) return;
    const context = contextOf(status, plan);
    const changed = await client.update(virtualServiceKind, write(service, decision.set, context));
    if (!changed.ok && changed.error.code !== 409) {
      log("warn", `VirtualService ${service.metadata.namespace}/${service.metadata.name}: ${changed.error.message}`);
    }
  }

  /** As both sides count: the callers', who alone see what reached nobody, and their own, who see each try. */
  #views({ stable, canary }: Versions, sinceMs: number): readonly View[] {
    const { view } = this.#options.traffic;
    return (["source", "destination"] as const).map((reporter) => {
      const numbers = ({ host, namespace, workloads }: Version) => {
        // A sidecar names the first of several services that its pod belongs to.
        const service = reporter === "source" ? { service: host } : {};
        const filter: FlowFilter = { reporter, ...service, workloadNamespace: namespace, workload: workloads };
        return view.measure(filter, { sinceMs });
      };
      return { stable: numbers(stable), canary: numbers(canary) };
    });
  }

  /** What is over stays as it is; what is under way ends as if it had never begun. */
  async #giveBack(canary: Canary, service: VirtualService | undefined): Promise<void> {
    const { client, log } = this.#options;
    const { finalizers = [], name, namespace = "default" } = canary.metadata;
    if (!finalizers.includes(CANARY_FINALIZER)) return;
    const plan = planOf(canary.spec);
    const { phase, original } = canary.status ?? {};
    const isUnderWay = original !== undefined && phase !== "Succeeded" && phase !== "Aborted";
    if (isUnderWay && service !== undefined) {
      const context = contextOf(canary.status, plan);
      // Weights that somebody else has set are theirs.
      const isTheirs = canary.status?.reason === "Conflict";
      const back: CanarySetting = isTheirs ? { kind: "any" } : { kind: "original" };
      const restored = isTheirs ? withoutAdditions(service, context) : write(service, back, context);
      const given = await client.update(virtualServiceKind, restored);
      if (!given.ok) {
        log("warn", `VirtualService ${namespace}/${service.metadata.name} is not given back: ${given.error.message}`);
        return;
      }
    }
    const left = finalizers.filter((each) => each !== CANARY_FINALIZER);
    await client.mergePatch(canaryKind, { namespace, name }, { body: { metadata: { finalizers: left } } });
  }
}

function isActive({ metadata, status, spec }: Canary): boolean {
  if (metadata.deletionTimestamp !== undefined) return true;
  const isOver = status?.phase === "Succeeded" || status?.phase === "Aborted";
  return !isOver || (spec.request !== undefined && spec.request.id !== status.handledRequest);
}

interface Versions {
  readonly stable: Version;
  readonly canary: Version;
}

function versionsOf(service: VirtualService, plan: Plan, world: MeshSnapshot): Versions | undefined {
  const host = managedHost(service, plan);
  if (host === undefined) return undefined;
  const at = { host, namespace: service.metadata.namespace ?? "default" };
  const [stable, canary] = [versionOf(world, at, plan.stable), versionOf(world, at, plan.canary)];
  return stable === undefined || canary === undefined ? undefined : { stable, canary };
}

function contextOf(status: CanaryStatus | undefined, { stable, canary, steps }: Plan): RouteContext {
  const mirrors = steps.some(({ setting }) => setting.mirror !== undefined);
  return { stable, canary, original: status?.original ?? [], mirrors };
}

function withoutAdditions(service: VirtualService, context: RouteContext): VirtualService {
  const current = originalOf(service, context);
  return write(service, { kind: "original" }, { ...context, original: current });
}

function liveOf(service: VirtualService | undefined, canary: Canary, plan: Plan): Live {
  const name = canary.spec.virtualService ?? canary.metadata.name;
  if (service === undefined) return { kind: "missing", why: `there is no VirtualService ${name}` };
  const routes = managedRoutes(service, plan);
  if (routes.length === 0) {
    const why = `no route of VirtualService ${name} leads to both subsets ${plan.stable} and ${plan.canary}: name both, one with weight 0`;
    return { kind: "unmanaged", why };
  }
  const context = contextOf(canary.status, plan);
  return {
    kind: "routes",
    text: routes.map((route) => (route.route ?? []).map(({ weight = 0 }) => weight).join("/")).join(", "),
    says: (setting) => says(service, setting, context),
    original: () => originalOf(service, plan),
  };
}

const CONDITIONS: ReadonlySet<string> = new Set(["Progressing", "Succeeded"]);

/** So that `kubectl wait --for=condition=Succeeded` works. */
function conditionsOf({ metadata, status }: Canary, next: CanaryStatus, nowMs: number): Partial<CanaryStatus> {
  const { phase = "Waiting", message = "" } = next;
  const truth = (is: boolean) => (is ? ("True" as const) : ("False" as const));
  const drafts = [
    { type: "Progressing", status: truth(phase === "Progressing"), reason: phase, message },
    { type: "Succeeded", status: truth(phase === "Succeeded"), reason: phase, message },
  ];
  const stored = status?.conditions ?? [];
  const at = { time: new Date(nowMs).toISOString().replace(/\.\d+Z$/, "Z"), generation: metadata.generation };
  const conditions = [...(mergeConditions(stored, drafts, at, CONDITIONS) ?? stored)];
  return { conditions, ...(metadata.generation === undefined ? {} : { observedGeneration: metadata.generation }) };
}
