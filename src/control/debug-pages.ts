// Istio's debug pages about the mesh as the control plane sees it and about what each proxy was sent.

import { SOURCES } from "../ingest/kinds.ts";
import type { ResourceSet } from "../ingest/resources.ts";
import { isExportedTo } from "../model/hosts.ts";
import type { MeshSnapshot } from "../model/snapshot.ts";
import { type ResourceType, SHORT_NAMES, TYPES } from "../serve/resource.ts";
import { resourceJson } from "../serve/resource-json.ts";
import type { Connection } from "../serve/server.ts";
import type { TraceReader } from "../traces/trace.ts";
import { clientView } from "../translate/view.ts";
import { configDump } from "./config-dump.ts";
import type { DebugAccess } from "./debug-access.ts";
import { meshProblems } from "./mesh-problems.ts";
import type { TrustStatus } from "./rotation.ts";

export interface DebugSource {
  /** Who may read more than metrics, readiness and version. */
  readonly access: DebugAccess;
  ready(): boolean;
  metrics(): string;
  version(): string;
  connections(): readonly Connection[];
  snapshot(): MeshSnapshot | undefined;
  /** What pods are injected with; undefined where the control plane doesn't inject. */
  injection(): unknown;
  readonly traces: TraceReader | undefined;
  /** What is trusted, and who does not run with it yet. */
  trust(): Promise<TrustStatus>;
}

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

interface Page {
  readonly name: string;
  readonly help: string;
  /** `query` names a proxy where the page is about one. */
  readonly run: (source: DebugSource, query: URLSearchParams) => Answer | Promise<Answer>;
}

export const PAGES: readonly Page[] = [
  ofMesh("syncz", "whether each proxy runs what it was sent", (_snapshot, source) => syncz(source.connections())),
  ofMesh("connections", "the proxies that are connected", (_snapshot, source) => connections(source.connections())),
  ofMesh("adsz", "the same, with what each watches", (_snapshot, source) => adsz(source.connections())),
  ofMesh("configz", "the resources that the mesh is made from", (snapshot) => configz(snapshot)),
  ofMesh("registryz", "the services of the mesh", (snapshot) => registryz(snapshot)),
  ofMesh("endpointz", "the endpoints of each service's ports", (snapshot) => endpointz(snapshot)),
  ofMesh("instancesz", "the workloads of each proxy", (snapshot, source) => instancesz(snapshot, source)),
  ofMesh("mesh", "the mesh configuration in force", ({ meshSource }) => meshSource.config),
  ofMesh("push_status", "what is wrong with the mesh as a whole", (snapshot) => meshProblems(snapshot)),
  ofMesh("authorizationz", "the authorization policies by namespace", (snapshot) => authorizationz(snapshot)),
  ofMesh("telemetryz", "the Telemetry resources by namespace", ({ resources }) => byNamespace(resources.telemetries)),
  ofMesh("clusterz", "the clusters that are watched", (_snapshot, source) => [
    { id: CLUSTER_ID, syncStatus: source.ready() ? "synced" : "syncing" },
  ]),
  ofMesh("inject", "what pods are injected with", (_snapshot, source) => source.injection() ?? {}),
  {
    name: "trustz",
    help: "what the mesh trusts, and which proxies do not run with it yet",
    run: async (source) => json(await source.trust()),
  },
  ofProxy("config_dump", "what a proxy was sent, as Envoy prints it", (connection) => configDump(connection)),
  ofProxy("edsz", "the endpoints that a proxy was sent", (connection) => sent(connection, "endpoint")),
  ofProxy("ndsz", "the names that a proxy's DNS answers", (connection) => sent(connection, "nameTable")),
  ofProxy("resourcesz", "the resources that a proxy was sent, by version", (connection) => resourcesz(connection)),
  ofProxy("sidecarz", "the services that a proxy may see", (connection, snapshot) => sidecarz(connection, snapshot)),
];

const CLUSTER_ID = "Kubernetes";

function ofMesh(name: string, help: string, make: (snapshot: MeshSnapshot, source: DebugSource) => unknown): Page {
  return {
    name,
    help,
    run: (source) => {
      const snapshot = source.snapshot();
      return snapshot === undefined ? NOT_YET : json(make(snapshot, source));
    },
  };
}

function ofProxy(name: string, help: string, make: (connection: Connection, snapshot: MeshSnapshot) => unknown): Page {
  return {
    name: `${name}?proxyID=POD.NAMESPACE`,
    help,
    run: (source, query) => {
      const id = query.get("proxyID") ?? "";
      const connection = findProxy(source.connections(), id);
      const snapshot = source.snapshot();
      if (snapshot === undefined) return NOT_YET;
      if (id === "") return text(400, `name a proxy: /debug/${name}?proxyID=POD.NAMESPACE\n`);
      if (connection === undefined) {
        return text(404, `no proxy ${id} is connected; /debug/syncz lists those that are\n`);
      }
      return json(make(connection, snapshot));
    },
  };
}

/** By `POD.NAMESPACE`, as istioctl has it, `POD/NAMESPACE`'s other order too, or by the whole node id. */
function findProxy(connections: readonly Connection[], id: string): Connection | undefined {
  return connections.find(
    ({ proxy }) =>
      proxy.id === id || `${proxy.pod}.${proxy.namespace}` === id || `${proxy.namespace}/${proxy.pod}` === id,
  );
}

const NAMES: Readonly<Record<string, string>> = {
  cds: "cluster",
  eds: "endpoint",
  lds: "listener",
  rds: "route",
  sds: "secret",
  ecds: "extensionconfig",
  nds: "nametable",
};

/** Istio's fields, and for each type its state, count and refusal. */
function syncz(all: readonly Connection[]): unknown {
  return all.map(({ proxy, statuses, connectedAtMs }) => {
    const types = TYPES.map((type) => ({ short: SHORT_NAMES[type], status: statuses()[type] }));
    return {
      cluster_id: CLUSTER_ID,
      proxy: `${proxy.pod}.${proxy.namespace}`,
      proxy_type: proxy.id.split("~")[0],
      proxy_version: proxy.engine,
      connected_at: timeText(connectedAtMs),
      ...Object.fromEntries(
        types.flatMap(({ short, status }) => [
          [`${NAMES[short]}_sent`, status.sentNonce],
          [`${NAMES[short]}_acked`, status.ackedNonce],
        ]),
      ),
      ...Object.fromEntries(
        types.map(({ short, status: { state, sent, refusal } }) => [
          short,
          { state, resources: sent, ...(refusal === undefined ? {} : { refusal }) },
        ]),
      ),
    };
  });
}

function connections(all: readonly Connection[]): unknown {
  return {
    totalClients: all.length,
    clients: all.map(({ proxy, connectedAtMs, peer }) => ({
      connectionId: `${proxy.pod}.${proxy.namespace}`,
      connectedAt: timeText(connectedAtMs),
      address: peer,
    })),
  };
}

function adsz(all: readonly Connection[]): unknown {
  return {
    totalClients: all.length,
    clients: all.map(({ proxy, connectedAtMs, peer, session }) => ({
      connectionId: `${proxy.pod}.${proxy.namespace}`,
      connectedAt: timeText(connectedAtMs),
      address: peer,
      labels: proxy.labels,
      watches: Object.fromEntries(TYPES.map((type) => [SHORT_NAMES[type], session.watched(type)])),
    })),
  };
}

/** Istio's own kinds, without what only bookkeeping needs. */
function configz({ resources }: MeshSnapshot): unknown {
  const maps = Object.entries(resources);
  return maps.flatMap(([name, map]) => {
    const source = Object.entries(SOURCES).find(([key]) => key === name)?.[1];
    return source?.kind.origin === "custom" ? [...map.values()].map(withoutStatus) : [];
  });
}

function withoutStatus(object: object): unknown {
  return Object.fromEntries(Object.entries(object).filter(([key]) => key !== "status"));
}

function registryz({ services }: MeshSnapshot): unknown {
  return [...services.values()].map((service) => ({
    hostname: service.host,
    attributes: {
      name: service.name,
      namespace: service.namespace,
      serviceRegistry: CLUSTER_ID,
      exportTo: service.exportTo ?? ["*"],
    },
    clusterVIPs: { [CLUSTER_ID]: service.addresses },
    headless: service.headless,
    ports: service.ports.map(({ number, name, protocol, declared }) => ({ port: number, name, protocol, declared })),
  }));
}

function endpointz({ services }: MeshSnapshot): unknown {
  return [...services.values()].flatMap((service) =>
    service.ports.map((port) => ({
      svc: `${service.host}:${port.name === "" ? port.number : port.name}`,
      ep: service.endpoints.get(port.number) ?? [],
    })),
  );
}

function instancesz({ services }: MeshSnapshot, source: DebugSource): unknown {
  return Object.fromEntries(
    source
      .connections()
      .map(({ proxy }) => [
        `${proxy.pod}.${proxy.namespace}`,
        [...services.values()].flatMap(({ host, endpoints }) =>
          [...endpoints].flatMap(([port, all]) =>
            all
              .filter(({ address }) => address === proxy.address)
              .map((endpoint) => ({ hostname: host, port, endpoint })),
          ),
        ),
      ]),
  );
}

function authorizationz({ resources, mesh }: MeshSnapshot): unknown {
  return {
    authorizationPolicies: {
      namespaceToPolicies: byNamespace(resources.authorizationPolicies),
      rootNamespace: mesh.rootNamespace,
    },
  };
}

function byNamespace(map: ResourceSet["authorizationPolicies"] | ResourceSet["telemetries"]): unknown {
  return Object.fromEntries(Map.groupBy(map.values(), ({ metadata }) => metadata.namespace ?? ""));
}

function resourcesz({ session }: Connection): unknown {
  return Object.fromEntries(
    TYPES.map((type) => [
      SHORT_NAMES[type],
      Object.fromEntries([...session.sent(type).values()].map(({ name, version }) => [name, version])),
    ]),
  );
}

function sidecarz({ proxy }: Connection, snapshot: MeshSnapshot): unknown {
  const view = clientView(snapshot, proxy);
  const rules = [...snapshot.resources.destinationRules.values()].filter(({ metadata, spec }) =>
    isExportedTo(spec.exportTo, metadata.namespace ?? "", proxy.namespace),
  );
  return {
    namespace: proxy.namespace,
    labels: proxy.labels,
    services: view.services.map(({ host }) => host),
    virtualServiceHosts: [...view.routes.keys()],
    destinationRules: rules.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`),
  };
}

function sent({ session }: Connection, type: ResourceType): unknown {
  return [...session.sent(type).values()].map((resource) => {
    const made = resourceJson(resource);
    return made.ok ? made.value : { name: resource.name, error: made.error };
  });
}

const NOT_YET: Answer = text(503, "the API server has not been read yet\n");

export function text(status: number, body: string): Answer {
  return { status, type: "text/plain; charset=utf-8", body };
}

function json(value: unknown): Answer {
  return { status: 200, type: "application/json", body: `${JSON.stringify(value, withMaps, 2)}\n` };
}

function withMaps(_key: string, value: unknown): unknown {
  return value instanceof Map ? Object.fromEntries(value) : value;
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
