// The data plane's composition root: resources in, compiled and warmed; listeners out; one view for the admin interface.

import type { Clock } from "../../base/clock.ts";
import { deepEqual } from "../../base/equal.ts";
import type { Random } from "../../base/random.ts";
import type { Registry } from "../../observe/metrics.ts";
import type { Bootstrap } from "../../proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import type { DumpEntry, ProxyView, ServerState } from "../admin/view.ts";
import { BOOTSTRAP_TYPE, compileBootstrap } from "../compile/bootstrap.ts";
import { ASSIGNMENT_TYPE, CLUSTER_TYPE, compileCluster, compileEndpoints } from "../compile/cluster.ts";
import { Field } from "../compile/field.ts";
import { compileListener, LISTENER_TYPE } from "../compile/listener.ts";
import { compileRoutes, type RouteTable } from "../compile/route.ts";
import { DRAIN_LOOK_MS, SWEEP_MS } from "../limits.ts";
import { systemResolve } from "../socket/dns.ts";
import type { SecretSource } from "../socket/secret.ts";
import { type DrainLife, ENVOY_DRAIN } from "../stack/drain.ts";
import type { Core } from "../stack/runtime.ts";
import type {
  Changed,
  ResourceHandler,
  ResourceKind,
  ResourceRefusal,
  ResourceSource,
  ResourceTypes,
  ResourceUpdate,
  StreamState,
} from "../subscribe/source.ts";
import type { SharedUpstream } from "../upstream/cluster.ts";
import { refusalText, requestClusters } from "./check.ts";
import { Clusters } from "./clusters.ts";
import { makeCore } from "./core.ts";
import { HoldUps, withoutSecrets } from "./hold-up.ts";
import { Intake } from "./intake.ts";
import { Listeners } from "./listeners.ts";
import type { Listening } from "./listening.ts";
import { type OverloadManager, watchMemory } from "./overload.ts";
import { referencesOf } from "./references.ts";
import { entryOf, Resources } from "./resources.ts";
import { Runtime } from "./runtime.ts";
import { SecretStore } from "./secrets.ts";
import { certificateViews, clusterView, count, refreshGauges, resetCounters } from "./view.ts";

export interface ProxyOptions {
  readonly bootstrap: Bootstrap;
  readonly source: ResourceSource | undefined;
  readonly localSecrets: SecretSource | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly registry: Registry;
  /** The pod's own address, where a firewall leads traffic through this proxy. */
  readonly selfIp?: string | undefined;
  /** Whether locally generated answers carry `x-weft-cause`. */
  readonly showCause?: boolean;
  /** How long and in which way replaced listeners, and the whole process, drain; as Envoy's where it isn't said. */
  readonly drain?: DrainLife;
  /** Whose sockets serve; this proxy's own where it isn't said. */
  readonly listening?: Listening;
  /** Its number among several workers of one process. */
  readonly worker?: number;
  /** What the workers of one process have in common upstream. */
  readonly shared?: SharedUpstream;
}

export interface RunningProxy {
  /** Resolves when every first listener serves; rejects when the bootstrap can't be honoured. */
  readonly ready: Promise<void>;
  readonly view: ProxyView;
  /** Another worker found a host sick. */
  ejectHost(cluster: string, address: string, ms: number): void;
  /** The port that a listener really has, for those bound to port 0. */
  port(listener: string): number;
  /**
   * No new connections but for outbound listeners; open ones end after an answer. Resolves when nothing is active, or when
   * the drain time is over.
   */
  drain(): Promise<void>;
  close(): void;
}

const ROUTE_TYPE = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";

export function startProxy(options: ProxyOptions): RunningProxy {
  const proxy = new ProxyRun(options);
  proxy.start();
  return proxy;
}

class ProxyRun implements RunningProxy, ResourceHandler {
  readonly ready: Promise<void>;
  readonly view: ProxyView;
  readonly #options: ProxyOptions;
  readonly #clusters: Clusters;
  readonly #holdUps: HoldUps;
  readonly #listeners: Listeners;
  readonly #routes = new Map<string, RouteTable>();
  readonly #resources = new Resources();
  readonly #secrets: SecretStore;
  readonly #core: Core;
  readonly #watched = new Set<string>();
  #resolveReady: () => void = () => undefined;
  #rejectReady: (error: Error) => void = () => undefined;
  #isReady = false;
  #draining = false;
  #closed = false;
  #failing = false;
  #listenersTold: boolean;
  #kicking = false;
  #kickAgain = false;
  readonly #runtime: Runtime;
  readonly #life: DrainLife;
  /** What of the bootstrap itself can't be honoured. */
  readonly #refused: readonly ResourceRefusal[];
  readonly #intake: Intake;
  readonly #overload: OverloadManager | undefined;

  constructor(options: ProxyOptions) {
    this.#options = options;
    this.#life = options.drain ?? ENVOY_DRAIN;
    const field = Field.root("bootstrap", BOOTSTRAP_TYPE);
    const { layers, overload } = compileBootstrap(options.bootstrap, field);
    this.#runtime = new Runtime(layers);
    this.#intake = new Intake(this.#resources, this.#runtime);
    this.#refused = field.refusals;
    this.#secrets = new SecretStore(options.localSecrets);
    this.#listenersTold = options.source?.listeners !== true;
    this.ready = new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
    });
    const { clock, random, registry } = options;
    const around = {
      clock,
      random,
      registry,
      resolve: systemResolve,
      secrets: this.#secrets,
      selfIp: options.selfIp,
      shared: options.shared,
    };
    this.#clusters = new Clusters(around, () => this.#kick());
    this.#core = makeCore(options, {
      cluster: (name) => this.#clusters.get(name),
      routes: (name) => this.#routes.get(name),
    });
    this.#overload = overload === undefined ? undefined : watchMemory(overload, this.#core);
    this.#listeners = new Listeners(this.#core, this.#secrets, {
      onActive: (name, missing) => {
        this.#resources.setState("listener", name, "active");
        if (missing.length > 0) process.stderr.write(withoutSecrets(name, missing));
        count(registry, "listener_manager.listener_create_success");
      },
      onBindFailed: (name, message) => this.#bindFailed(name, message),
      life: this.#life,
      listening: options.listening ?? { kind: "own" },
    });
    this.#holdUps = new HoldUps({
      clock,
      secrets: this.#secrets,
      hasRoutes: (name) => this.#routes.has(name),
      isBeginning: () => !this.#isReady && this.#clusters.beginning,
      kick: () => this.#kick(),
    });
    this.view = this.#makeView();
  }

  start(): void {
    const { bootstrap, source } = this.#options;
    const statics = bootstrap.staticResources;
    const refusals: ResourceRefusal[] = [...this.#refused];
    for (const secret of statics?.secrets ?? []) this.#secrets.set(secret.name, secret);
    const about = { version: "", origin: "static", nowMs: this.#options.clock.wallMs() } as const;
    for (const cluster of requestClusters(this.#options.bootstrap))
      refusals.push(...this.#setCluster(entryOf(cluster.name, cluster, about)));
    for (const listener of statics?.listeners ?? [])
      refusals.push(...this.#setListener(entryOf(listener.name, listener, about)));
    if (refusals.length > 0) {
      const text = refusals.map(refusalText).join("\n");
      queueMicrotask(() => this.#rejectReady(new Error(text)));
      return;
    }
    this.#sweepLater();
    this.#overload?.start();
    source?.start(this);
    this.#want();
    this.#kick();
  }

  onUpdate(update: ResourceUpdate): readonly ResourceRefusal[] {
    const refusals = this.#apply(update);
    const scope = {
      cluster: "cluster_manager.cds",
      listener: "listener_manager.lds",
      endpoint: "eds",
      route: "rds",
      secret: "sds",
    };
    count(
      this.#options.registry,
      `${scope[update.kind]}.${refusals.length === 0 ? "update_success" : "update_rejected"}`,
    );
    this.#want();
    this.#kick();
    return refusals;
  }

  onState(state: StreamState): void {
    const names = { statPrefix: "control_plane.", namePrefix: "envoy_control_plane_", labels: {} };
    this.#options.registry
      .scope(names)
      .gauge("connected_state")
      .set(state.kind === "connected" ? 1 : 0);
  }

  ejectHost(cluster: string, address: string, ms: number): void {
    this.#clusters.get(cluster)?.ejectHost(address, ms);
  }

  port(listener: string): number {
    return this.#listeners.boundPort(listener);
  }

  drain(): Promise<void> {
    this.#draining = true;
    this.#listeners.drain({ inboundOnly: true, ending: true, stopAccepting: "now" });
    const over = this.#options.clock.monotonicMs() + this.#life.ms;
    const drained = new Promise<void>((resolve) => {
      const look = () => {
        const late = this.#options.clock.monotonicMs() >= over;
        if (late || this.#closed || this.#listeners.undrained === 0) resolve();
        else this.#options.clock.after(DRAIN_LOOK_MS, look);
      };
      look();
    });
    const { spans, logs } = this.#core;
    return drained.then(async () => void (await Promise.all([spans.settle(), logs.settle()])));
  }

  close(): void {
    this.#closed = true;
    this.#overload?.stop();
    this.#options.source?.stop();
    this.#listeners.close();
    this.#core.spans.close();
    this.#clusters.close();
    this.#core.logs.close();
    this.#secrets.close();
  }

  #apply(update: ResourceUpdate): readonly ResourceRefusal[] {
    const about = { version: update.version, origin: "dynamic", nowMs: this.#options.clock.wallMs() } as const;
    switch (update.kind) {
      case "cluster":
        for (const name of update.removed) this.#removeDynamic("cluster", name);
        return this.#each(update.changed, about, (entry) => this.#setCluster(entry));
      case "listener":
        this.#listenersTold = true;
        for (const name of update.removed) this.#removeDynamic("listener", name);
        return this.#each(update.changed, about, (entry) => this.#setListener(entry));
      case "endpoint":
        for (const name of update.removed) {
          this.#resources.delete("endpoint", name);
          this.#clusters.removeEndpoints(name);
        }
        return this.#each(update.changed, about, (entry) => this.#setEndpoints(entry));
      case "route":
        for (const name of update.removed) {
          this.#resources.delete("route", name);
          this.#routes.delete(name);
        }
        return this.#each(update.changed, about, (entry) => this.#setRoutes(entry));
      case "secret":
        for (const name of update.removed) this.#secrets.setAbsent(name);
        return this.#each(update.changed, about, (entry) => {
          this.#resources.put("secret", entry);
          this.#secrets.set(entry.name, entry.resource);
          return [];
        });
    }
  }

  #each<K extends ResourceKind>(
    changed: readonly Changed<K>[],
    about: { readonly version: string; readonly origin: "dynamic"; readonly nowMs: number },
    set: (entry: DumpEntry<K>) => readonly ResourceRefusal[],
  ): readonly ResourceRefusal[] {
    const refusals: ResourceRefusal[] = [];
    for (const one of changed) {
      const resource: ResourceTypes[K] = one.resource;
      refusals.push(...set(entryOf<K>(one.name, resource, { ...about, version: one.version })));
    }
    return refusals;
  }

  #removeDynamic(kind: "cluster" | "listener", name: string): void {
    const known = this.#resources.get(kind, name);
    if (known === undefined || known.origin === "static") return;
    count(
      this.#options.registry,
      kind === "cluster" ? "cluster_manager.cluster_removed" : "listener_manager.listener_removed",
    );
    this.#resources.delete(kind, name);
    if (kind === "cluster") this.#clusters.remove(name);
    else this.#listeners.remove(name);
  }

  #setCluster(entry: DumpEntry<"cluster">): readonly ResourceRefusal[] {
    const before = this.#resources.get("cluster", entry.name);
    if (before !== undefined && before.state !== "refused" && deepEqual(before.resource, entry.resource)) {
      this.#resources.put("cluster", { ...entry, state: before.state });
      return [];
    }
    return this.#compileCluster(entry);
  }

  #compileCluster(entry: DumpEntry<"cluster">): readonly ResourceRefusal[] {
    return this.#intake.take("cluster", entry, {
      typeUrl: CLUSTER_TYPE,
      compile: (field) => compileCluster(entry.resource, field),
      apply: (config) => {
        this.#countChange("cluster_manager.cluster", this.#clusters.get(entry.name) !== undefined);
        this.#clusters.set(config);
      },
    });
  }

  #setListener(entry: DumpEntry<"listener">): readonly ResourceRefusal[] {
    const before = this.#resources.get("listener", entry.name);
    if (before !== undefined && before.state === "active" && deepEqual(before.resource, entry.resource)) {
      this.#resources.put("listener", { ...entry, state: before.state });
      return [];
    }
    return this.#compileListener(entry);
  }

  #compileListener(entry: DumpEntry<"listener">): readonly ResourceRefusal[] {
    return this.#intake.take("listener", entry, {
      typeUrl: LISTENER_TYPE,
      compile: (field) => compileListener(entry.resource, field),
      apply: (config) => {
        this.#countChange("listener_manager.listener", this.#listeners.has(entry.name));
        this.#resources.setState("listener", entry.name, "warming");
        this.#listeners.set(config);
      },
    });
  }

  #countChange(prefix: string, known: boolean): void {
    count(this.#options.registry, `${prefix}_${known ? "modified" : "added"}`);
  }

  #setEndpoints(entry: DumpEntry<"endpoint">): readonly ResourceRefusal[] {
    return this.#intake.take("endpoint", entry, {
      typeUrl: ASSIGNMENT_TYPE,
      compile: (field) => compileEndpoints(entry.resource, field),
      apply: (endpoints) => this.#clusters.setEndpoints(entry.name, endpoints),
    });
  }

  #setRoutes(entry: DumpEntry<"route">): readonly ResourceRefusal[] {
    return this.#intake.take("route", entry, {
      typeUrl: ROUTE_TYPE,
      compile: (field) => compileRoutes(entry.resource, field),
      apply: (table) => this.#routes.set(entry.name, table),
    });
  }

  /** What was compiled with one of the changed keys is compiled anew. */
  #modifyRuntime(changes: ReadonlyMap<string, string>): string | undefined {
    const refused = this.#runtime.modify(changes);
    if (refused !== undefined) return refused;
    const keys = [...changes.keys()];
    for (const entry of this.#intake.dependent("route", keys)) this.#setRoutes(entry);
    for (const entry of this.#intake.dependent("listener", keys)) this.#compileListener(entry);
    for (const entry of this.#intake.dependent("cluster", keys)) this.#compileCluster(entry);
    this.#kick();
    return undefined;
  }

  /** Tells the stream which endpoints, routes and secrets are referred to. */
  #want(): void {
    const { source } = this.#options;
    const configs = [...this.#listeners.warming(), ...this.#listeners.active().map((one) => one.config)];
    const { routes, secrets } = referencesOf(configs, this.#clusters.wantedSecrets());
    this.#watchSecrets(secrets);
    if (source === undefined) return;
    source.setWanted("endpoint", this.#clusters.wantedEndpoints());
    source.setWanted("route", routes);
    source.setWanted("secret", new Set([...secrets].filter((name) => !this.#secrets.isLocal(name))));
  }

  /** A secret that arrives may be what a listener waits for. */
  #watchSecrets(names: ReadonlySet<string>): void {
    for (const name of names) {
      if (this.#watched.has(name)) continue;
      this.#watched.add(name);
      this.#secrets.onChange(name, () => this.#kick());
    }
  }

  /** Starts whatever is warm; once at a time. */
  #kick(): void {
    this.#kickAgain = true;
    if (this.#kicking || this.#closed) return;
    this.#kicking = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    while (this.#kickAgain && !this.#closed) {
      this.#kickAgain = false;
      await this.#listeners.startWarm((warming, acceptor) => this.#holdUps.of(warming, acceptor));
    }
    this.#kicking = false;
    if (this.#isReady || !this.#listenersTold || this.#listeners.warming().length > 0) return;
    this.#isReady = true;
    this.#resolveReady();
  }

  #bindFailed(name: string, message: string): void {
    const entry = this.#resources.get("listener", name);
    if (entry !== undefined) {
      this.#resources.refuse("listener", entry, [{ resource: name, path: "address", typeUrl: LISTENER_TYPE, message }]);
      this.#resources.setState("listener", name, "refused");
    }
    count(this.#options.registry, "listener_manager.listener_create_failure");
    if (entry?.origin === "static") this.#rejectReady(new Error(`listener ${name}: ${message}`));
    else process.stderr.write(`listener ${name}: ${message}\n`);
  }

  #sweepLater(): void {
    this.#options.clock.after(SWEEP_MS, () => {
      if (this.#closed) return;
      this.#listeners.sweep(this.#options.clock.monotonicMs());
      this.#sweepLater();
    });
  }

  #state(): ServerState {
    if (this.#draining || this.#failing) return "DRAINING";
    return this.#isReady ? "LIVE" : "INITIALIZING";
  }

  #makeView(): ProxyView {
    return {
      registry: this.#options.registry,
      bootstrap: this.#options.bootstrap,
      startedAtMs: this.#options.clock.wallMs(),
      state: () => this.#state(),
      clusters: () =>
        this.#clusters.active().map((cluster) => {
          return clusterView(cluster, this.#resources.get("cluster", cluster.config.name)?.origin === "dynamic");
        }),
      listeners: () =>
        this.#listeners
          .active()
          .map((one) => ({ name: one.config.name, address: one.address, draining: one.draining })),
      heldUp: () => this.#listeners.heldUp(),
      dump: (kind) => this.#resources.list(kind),
      certificates: () => certificateViews(this.#secrets, this.#watched),
      runtime: () => this.#runtime.view(),
      modifyRuntime: (changes) => this.#modifyRuntime(changes),
      failHealthcheck: (failing) => {
        this.#failing = failing;
        this.#listeners.fail(failing);
      },
      drainListeners: ({ inboundOnly, graceful, skipExit }) => {
        const stopAccepting = skipExit ? "never" : graceful ? "after" : "now";
        this.#listeners.drain({ inboundOnly, ending: false, stopAccepting });
        if (graceful || skipExit) this.#draining = true;
      },
      recent: () => this.#core.recent.lines(),
      resetCounters: () => resetCounters(this.#options.registry),
      refresh: () => refreshGauges(this.#options, this.view, [this.#clusters, this.#listeners, this.#runtime]),
    };
  }
}
