// The composition root of the control plane: Kubernetes in, xDS out, status back.

import { setFlagsFromString } from "node:v8";
import * as grpc from "@grpc/grpc-js";
import type { KubeClient } from "../api/client.ts";
import type { JwtRule } from "../api/istio/request-authentication.ts";
import type { Clock } from "../base/clock.ts";
import type { Authority } from "../ca/authority.ts";
import type { ResourceSet } from "../ingest/resources.ts";
import { startIngest } from "../ingest/watch.ts";
import { defaultMeshConfig, type MeshConfig } from "../model/mesh-config.ts";
import type { MeshSnapshot } from "../model/snapshot.ts";
import { Registry } from "../observe/metrics.ts";
import { type Connection, DiscoveryServer } from "../serve/server.ts";
import type { TraceReader } from "../traces/trace.ts";
import { clusterNames } from "../translate/names.ts";
import type { ProxyConfiguration } from "../translate/translate.ts";
import { AllocatedAddresses } from "./allocated-addresses.ts";
import { admitEverybody, makeAuthenticate } from "./authenticate.ts";
import { startCanaries } from "./canaries.ts";
import { makeDebugAccess } from "./debug-access.ts";
import { type DebugServer, type Listening, startDebugServer } from "./debug-http.ts";
import type { DebugSource } from "./debug-pages.ts";
import { type Door, openDoor } from "./door.ts";
import { type KeptFormsOptions, KeptFormsWriter } from "./kept-forms.ts";
import { KeySetKeeper } from "./key-sets.ts";
import { MeshState } from "./mesh-state.ts";
import { PilotMetrics } from "./pilot-metrics.ts";
import { RefusalEvents } from "./refusal-event.ts";
import { StatusWriter } from "./status.ts";
import { type ScrapeTarget, TrafficCollector } from "./traffic.ts";
import { startTrust, type TrustParts } from "./trust.ts";
import { Warnings } from "./warnings.ts";

/** What the control plane needs of the certificate authority. */
export interface ControlCa {
  /** Adds the certificate service to the server of port 15012. */
  register(server: grpc.Server): void;
  /** TLS of port 15012, with a client certificate welcome but not required. */
  readonly credentials: grpc.ServerCredentials;
  readonly authority: Authority;
}

export interface ControlPlaneOptions {
  readonly client: KubeClient;
  readonly ca: ControlCa;
  readonly clock: Clock;
  readonly log: (level: "info" | "warn", message: string) => void;
  readonly mesh?: Partial<MeshConfig>;
  /** The CA and others may count into the same one. */
  readonly registry?: Registry;
  readonly version?: string;
  /** What pods are injected with, for the debug page; whoever injects tells. */
  readonly injection?: () => unknown;
  /** What has stored traces, where somebody does. */
  readonly traces?: TraceReader | undefined;
  readonly listen: {
    /** 15012: TLS, certificates and discovery. */
    readonly secure: Listening;
    /** 15010: discovery without TLS, for those who ask for it. */
    readonly plain?: Listening;
    /** 15014. */
    readonly debug?: Listening;
  };
}

export interface ControlPlane {
  readonly secure: Listening;
  readonly plain: Listening | undefined;
  readonly debug: Listening | undefined;
  readonly registry: Registry;
  /** True once everything that exists has been read. */
  ready(): boolean;
  /** Resolves then. */
  readonly whenReady: Promise<void>;
  /** Undefined until everything has been read. */
  snapshot(): MeshSnapshot | undefined;
  /** Grows with each snapshot. */
  sequence(): number;
  connections(): readonly Connection[];
  configuration(connection: Connection): ProxyConfiguration | undefined;
  /** What the proxies have counted. */
  readonly traffic: TrafficCollector;
  close(): Promise<void>;
}

export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  // What changes leave behind is collected before the heap has doubled: a third less memory, for no more CPU.
  setFlagsFromString("--heap-growing-percent=40");
  const { client, ca, clock } = options;
  const core = startCore(options);
  const trust = startTrust({
    client,
    clock,
    authority: ca.authority,
    streams: () => core.discovery.streams(),
    onChange: core.setTrust,
    namespace: core.namespace,
    log: options.log,
  });
  const traffic = new TrafficCollector({
    clock,
    targets: () => core.discovery.connections().map(scrapeTarget),
    scope: core.registry.scope({ statPrefix: "", namePrefix: "", labels: {} }),
  });
  const canaries = startCanaries({ client, clock, traffic, snapshot: () => core.state.snapshot, log: options.log });
  const ports = new Ports(options, { ...core, trust });
  const close = async (): Promise<void> => {
    trust.stop();
    canaries.stop();
    traffic.stop();
    core.stop();
    await ports.close();
  };
  try {
    const bound = await ports.open();
    return {
      ...bound,
      registry: core.registry,
      ready: () => core.state.snapshot !== undefined,
      whenReady: core.whenReady,
      snapshot: () => core.state.snapshot,
      sequence: () => core.state.sequence,
      connections: () => core.discovery.connections(),
      configuration: ({ proxy }) => core.state.translate(proxy),
      traffic,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Core {
  readonly namespace: string;
  readonly state: MeshState;
  readonly discovery: DiscoveryServer;
  readonly registry: Registry;
  readonly metrics: PilotMetrics;
  readonly whenReady: Promise<void>;
  /** What is trusted has changed: the proxies are told. */
  setTrust(): void;
  stop(): void;
}

/** From the watch to the push queue and back to status, without a socket. */
function startCore(options: ControlPlaneOptions): Core {
  const { client, clock, log } = options;
  const registry = options.registry ?? new Registry();
  const metrics = new PilotMetrics(registry, clock, options.version ?? "weft");
  const state = new MeshState({ ...defaultMeshConfig, ...options.mesh });
  const startedMs = new Map<number, number>();
  const ready = Promise.withResolvers<void>();
  const warnings = new Warnings(log);
  const refusalEvents = new RefusalEvents({ client, clock, log });
  const count = (): void => {
    metrics.connected(discovery.connections().length);
    status.touch();
  };
  const discovery: DiscoveryServer = new DiscoveryServer({
    clock,
    configure: (proxy) => state.configure(proxy),
    events: {
      log,
      onConnect: count,
      onDisconnect: count,
      onPush: (type, bytes, seconds) => metrics.pushed(type, bytes, seconds),
      onSent: (seconds) => metrics.sent(seconds),
      onTurn: (seconds) => metrics.queued(seconds),
      onExpired: (type) => metrics.expired(type),
      onRefused: (proxy, type, refused) => {
        metrics.refused(type);
        refusalEvents.tell(proxy, refused);
        status.touch();
      },
      onSettled: (_proxy, sequence) => {
        const sinceMs = startedMs.get(sequence);
        if (sinceMs !== undefined) metrics.converged((clock.monotonicMs() - sinceMs) / 1_000);
        status.touch();
      },
    },
  });
  const status = new StatusWriter({
    client,
    clock,
    state: () => state,
    connections: () => discovery.connections(),
    log,
  });
  const namespace = options.mesh?.rootNamespace ?? defaultMeshConfig.rootNamespace;
  const writers = makeWriters({ client, namespace, log });
  const keySets = makeKeySets(options, state, () => again());
  const setTrust = (): void => {
    const { rootPem, lists } = options.ca.authority;
    state.setTrust({ rootPem, crlPem: lists?.pem });
    again();
  };
  const replace = (resources: ResourceSet, waitedMs: number): void => {
    const nowMs = clock.monotonicMs();
    const snapshot = state.replace(resources);
    metrics.snapshot(snapshot, { buildMs: clock.monotonicMs() - nowMs, waitedMs });
    startedMs.set(state.sequence, nowMs);
    startedMs.delete(state.sequence - BUILDS_REMEMBERED);
    warnings.tell(snapshot);
    ready.resolve();
    writers.set(snapshot);
    keySets.want(rulesOf(snapshot));
    discovery.notify();
    status.touch();
  };
  const again = (): void => {
    if (state.snapshot !== undefined) replace(state.snapshot.scope.raw, 0);
  };
  setTrust();
  const ingest = startIngest({
    client,
    clock,
    onEvent: (kind, event) => metrics.event(kind, event),
    onChange: replace,
  });
  const stop = (): void => {
    keySets.stop();
    writers.stop();
    ingest.stop();
    status.stop();
    discovery.close();
  };
  return { namespace, state, discovery, registry, metrics, whenReady: ready.promise, setTrust, stop };
}

/** Where every sidecar, weft's or Istio's, prints its metrics and the application's. */
const METRICS_PORT = 15020;

function scrapeTarget({ proxy: { namespace, pod, address } }: Connection): ScrapeTarget {
  return { name: `${namespace}/${pod}`, address, port: METRICS_PORT };
}

/** What a later run has to find. */
function makeWriters(options: KeptFormsOptions) {
  const keptForms = new KeptFormsWriter(options);
  const addresses = new AllocatedAddresses(options);
  return {
    set(snapshot: MeshSnapshot): void {
      keptForms.set(snapshot.resources.keptForms, snapshot.keptForms);
      addresses.set(snapshot);
    },
    stop(): void {
      keptForms.stop();
      addresses.stop();
    },
  };
}

function makeKeySets({ clock, log }: ControlPlaneOptions, state: MeshState, again: () => void): KeySetKeeper {
  return new KeySetKeeper({
    clock,
    random: Math.random,
    addressOf: (host) => state.snapshot && addressOf(state.snapshot, host),
    onChange: (fetched) => {
      state.setKeySets(fetched);
      again();
    },
    log,
  });
}

function rulesOf({ authentication }: MeshSnapshot): readonly JwtRule[] {
  return [...authentication.values()].flat().flatMap(({ spec }) => spec?.jwtRules ?? []);
}

/** Where a service of the mesh is reached by who has no sidecar: its cluster address, or its first endpoint. */
function addressOf({ services, mesh }: MeshSnapshot, host: string): string | undefined {
  const [name = "", namespace = mesh.rootNamespace] = host.split(".");
  const service = services.get(host) ?? services.get(`${name}.${namespace}.svc.${mesh.clusterDomain}`);
  if (service === undefined || !clusterNames(service, "").includes(host)) return undefined;
  // A ServiceEntry's addresses are what applications call, which only a proxy leads somewhere.
  const own = service.source.kind === "Service" ? service.addresses[0] : undefined;
  return own ?? [...service.endpoints.values()].flat()[0]?.address;
}

/** The listening sockets. */
class Ports {
  readonly #options: ControlPlaneOptions;
  readonly #core: Core & { readonly trust: TrustParts };
  readonly #servers: grpc.Server[] = [];
  readonly #doors: Door[] = [];
  #debug: DebugServer | undefined;

  constructor(options: ControlPlaneOptions, core: Core & { readonly trust: TrustParts }) {
    this.#options = options;
    this.#core = core;
  }

  async open(): Promise<Pick<ControlPlane, "secure" | "plain" | "debug">> {
    const { ca, client, clock, listen } = this.#options;
    const { discovery } = this.#core;
    const authenticate = makeAuthenticate({ client, clock, trust: () => ca.authority });
    const secure = await this.#serve(listen.secure, ca.credentials, (server) => {
      ca.register(server);
      discovery.register(server, authenticate);
    });
    const plain =
      listen.plain === undefined
        ? undefined
        : await this.#serve(listen.plain, grpc.ServerCredentials.createInsecure(), (server) =>
            discovery.register(server, admitEverybody),
          );
    if (listen.debug !== undefined) this.#debug = await startDebugServer(listen.debug, this.#pages());
    return { secure, plain, debug: this.#debug?.at };
  }

  async close(): Promise<void> {
    for (const door of this.#doors) door.close();
    for (const server of this.#servers) server.forceShutdown();
    await this.#debug?.close();
  }

  async #serve(
    at: Listening,
    credentials: grpc.ServerCredentials,
    add: (server: grpc.Server) => void,
  ): Promise<Listening> {
    const server = new grpc.Server(SERVER_OPTIONS);
    this.#servers.push(server);
    add(server);
    const door = await openDoor(server, at, credentials);
    this.#doors.push(door);
    return door.at;
  }

  #pages(): DebugSource {
    const { state, discovery, metrics, trust } = this.#core;
    const { client, mesh, version = "weft", injection, traces } = this.#options;
    const rootNamespace = mesh?.rootNamespace ?? defaultMeshConfig.rootNamespace;
    return {
      access: makeDebugAccess({ client, rootNamespace }),
      ready: () => state.snapshot !== undefined,
      metrics: () => metrics.page(processNumbers()),
      version: () => version,
      connections: () => discovery.connections(),
      snapshot: () => state.snapshot,
      injection: () => injection?.(),
      traces,
      trust: () => trust.status(),
    };
  }
}

const BUILDS_REMEMBERED = 256;

const SERVER_OPTIONS: grpc.ServerOptions = {
  "grpc.max_receive_message_length": 4 * 1024 * 1024,
  "grpc.max_concurrent_streams": 1_000,
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
};

function processNumbers(): { readonly rssBytes: number; readonly cpuSeconds: number } {
  const { user, system } = process.cpuUsage();
  return { rssBytes: process.memoryUsage.rss(), cpuSeconds: (user + system) / 1e6 };
}
