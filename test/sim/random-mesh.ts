// Meshes by chance: documents from a small vocabulary, so that edits meet each other, and edits to them.

import type { Random } from "../../src/base/random.ts";
import { type MeshDocument, type MeshPort, serviceDocuments } from "./mesh.ts";

export interface MeshEdit {
  readonly kind: "put" | "remove";
  readonly document: MeshDocument;
  readonly text: string;
}

const NAMESPACES = ["a", "b"] as const;
const VERSIONS = ["v1", "v2", "v3"] as const;

/** Of every namespace alike. */
const SERVICES: readonly Shape[] = [
  { name: "web", headless: false, ports: [{ name: "http", port: 80, target: 8080 }] },
  { name: "api", headless: false, ports: [{ port: 8080 }] },
  { name: "db", headless: false, ports: [{ name: "tcp", port: 5432 }] },
  {
    name: "multi",
    headless: false,
    ports: [
      { name: "http", port: 80, target: 8080 },
      { name: "tcp", port: 7000 },
      { name: "any", port: 8081 },
    ],
  },
  {
    name: "set",
    headless: true,
    ports: [
      { name: "tcp", port: 9092 },
      { name: "http", port: 9093 },
    ],
  },
];

/** Hosts outside the mesh, and those that a gateway serves. */
const OUTSIDE = ["ext.example.com", "*.wild.example.com", "vm.internal"] as const;
const EDGE_HOSTS = ["www.example.com", "*.example.com", "through.example.com"] as const;

type Namespace = (typeof NAMESPACES)[number];
type ServiceName = "web" | "api" | "db" | "multi" | "set";

interface Shape {
  readonly name: ServiceName;
  readonly headless: boolean;
  readonly ports: readonly MeshPort[];
}

export function serviceAddress(namespace: Namespace, name: ServiceName): string {
  const i = SERVICES.findIndex((each) => each.name === name);
  return `10.96.${NAMESPACES.indexOf(namespace)}.${10 + i}`;
}

export function podAddress(namespace: Namespace, name: ServiceName, pod: number): string {
  const i = SERVICES.findIndex((each) => each.name === name);
  return `10.244.${NAMESPACES.indexOf(namespace)}.${10 * (i + 1) + pod}`;
}

/** What the gateway's pods are called by. */
const INGRESS: MeshDocument = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "ingress", namespace: "edge" },
  spec: {
    selector: { istio: "ingressgateway" },
    clusterIP: "10.96.9.1",
    ports: [
      { name: "http2", port: 80, targetPort: 18_080 },
      { name: "https", port: 443, targetPort: 18_443 },
      { name: "tcp", port: 31_400, targetPort: 18_400 },
    ],
  },
};

export class RandomMesh {
  readonly documents = new Map<string, MeshDocument>();
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** What a mesh begins with: most services, some policies. */
  start(): readonly MeshEdit[] {
    const edits = NAMESPACES.flatMap((namespace) =>
      SERVICES.flatMap(({ name }) => (this.#chance(0.8) ? this.#service(namespace, name) : [])),
    );
    const policies = Array.from({ length: 8 }, () => this.#policy());
    return [...edits, INGRESS, ...policies].map((document) => this.#put(document));
  }

  edit(): MeshEdit {
    const removable = [...this.documents.values()];
    if (removable.length > 0 && this.#chance(0.2)) {
      const document = this.#pick(removable);
      this.documents.delete(keyOf(document));
      return { kind: "remove", document, text: `- ${keyOf(document)}` };
    }
    if (this.#chance(0.4)) {
      const documents = this.#service(this.#pick(NAMESPACES), this.#pick(SERVICES).name);
      if (documents.length > 0) return this.#put(this.#pick(documents));
    }
    return this.#put(this.#policy());
  }

  #put(document: MeshDocument): MeshEdit {
    this.documents.set(keyOf(document), document);
    return { kind: "put", document, text: JSON.stringify(document) };
  }

  /** Service, pods and EndpointSlice, as they may be at one time. */
  #service(namespace: Namespace, name: ServiceName): readonly MeshDocument[] {
    const shape = SERVICES.find((each) => each.name === name);
    if (shape === undefined) return [];
    const some = shape.ports.filter(() => this.#chance(0.85)).map((port) => this.#renamed(port));
    const pods = VERSIONS.filter(() => this.#chance(0.8)).map((version, i) => ({
      name: `${name}-${i}`,
      ip: podAddress(namespace, name, i),
      version: this.#chance(0.9) ? version : this.#pick(VERSIONS),
      sidecar: this.#chance(0.8),
      ready: this.#chance(0.9),
    }));
    const exported = this.#chance(0.15)
      ? { annotations: { "networking.istio.io/exportTo": this.#pick([".", "*", "a"]) } }
      : {};
    return serviceDocuments({
      name,
      namespace,
      ip: shape.headless ? "None" : serviceAddress(namespace, name),
      ports: some.length === 0 ? shape.ports : some,
      pods,
      ...exported,
    });
  }

  /** Its name says a protocol, now and then another. */
  #renamed(port: MeshPort): MeshPort {
    return this.#chance(0.15) ? { ...port, name: `${this.#pick(["http", "tcp", "any"])}-${port.port}` } : port;
  }

  #policy(): MeshDocument {
    const make = this.#pick([
      () => this.#virtualService(),
      () => this.#virtualService(),
      () => this.#destinationRule(),
      () => this.#destinationRule(),
      () => this.#peerAuthentication(),
      () => this.#serviceEntry(),
      () => this.#gateway(),
      () => this.#sidecar(),
      () => this.#authorizationPolicy(),
    ]);
    return make();
  }

  #virtualService(): MeshDocument {
    const namespace = this.#pick(NAMESPACES);
    const service = this.#pick(SERVICES).name;
    const delegate = this.#chance(0.1);
    const spec: Record<string, unknown> = delegate ? {} : { hosts: [this.#host(service)] };
    const http = Array.from({ length: 1 + this.#below(3) }, () => this.#httpRule(delegate));
    if (this.#chance(0.85) || delegate) spec["http"] = http;
    if (!delegate && (spec["http"] === undefined || this.#chance(0.2))) spec["tcp"] = [{ route: this.#routes() }];
    if (this.#chance(0.15)) spec["exportTo"] = [this.#pick([".", "*"])];
    if (!delegate && this.#chance(0.25)) {
      spec["gateways"] = this.#pick([["edge/outside"], ["edge/outside", "mesh"]]);
      spec["hosts"] = [this.#pick(EDGE_HOSTS)];
    } else if (!delegate && this.#chance(0.1)) spec["hosts"] = [this.#pick(OUTSIDE)];
    return istio("VirtualService", namespace, `${delegate ? "delegate" : service}-${this.#below(2)}`, spec);
  }

  #httpRule(delegate: boolean): unknown {
    const match = this.#chance(0.5) ? { match: [this.#match()] } : {};
    const kind = this.#below(12);
    if (kind === 0) return { ...match, redirect: { uri: "/elsewhere" } };
    if (kind === 1) return { ...match, directResponse: { status: 200, body: { string: "ok" } } };
    if (kind === 2 && !delegate) return { ...match, delegate: { name: `delegate-${this.#below(2)}` } };
    const mirror = this.#chance(0.1) ? { mirror: this.#destination() } : {};
    return { ...match, ...mirror, route: this.#routes() };
  }

  #match(): unknown {
    return this.#pick<unknown>([
      { uri: { prefix: "/a" } },
      { uri: { exact: "/b" } },
      { headers: { "x-user": { exact: "alice" } } },
      { sourceLabels: { app: "frontend" } },
      { port: 80 },
      { method: { exact: "POST" } },
      { sourceNamespace: "a" },
    ]);
  }

  #routes(): unknown {
    if (this.#chance(0.6)) return [{ destination: this.#destination() }];
    const share = 1 + this.#below(99);
    return [
      { destination: this.#destination(), weight: share },
      { destination: this.#destination(), weight: 100 - share },
    ];
  }

  /** Of a service with several ports one is named, or the route leads nowhere: sometimes it may. */
  #destination(): unknown {
    const service = this.#pick(SERVICES);
    const port =
      service.ports.length > 1 && this.#chance(0.9) ? { port: { number: this.#pick(service.ports).port } } : {};
    const subset = this.#chance(0.5) ? { subset: this.#pick(VERSIONS) } : {};
    return { host: this.#host(service.name), ...port, ...subset };
  }

  #host(service: string): string {
    if (this.#chance(0.05)) return this.#pick(OUTSIDE.filter((host) => !host.startsWith("*")));
    return this.#chance(0.5) ? service : `${service}.${this.#pick(NAMESPACES)}.svc.cluster.local`;
  }

  #destinationRule(): MeshDocument {
    const namespace = this.#pick(NAMESPACES);
    const service = this.#pick(SERVICES).name;
    const subsets = VERSIONS.filter(() => this.#chance(0.7)).map((version) => ({
      name: version,
      labels: { version },
      ...(this.#chance(0.2) ? { trafficPolicy: this.#trafficPolicy() } : {}),
    }));
    const spec: Record<string, unknown> = {
      host: this.#chance(0.1) ? `*.${this.#pick(NAMESPACES)}.svc.cluster.local` : this.#host(service),
      subsets,
    };
    if (this.#chance(0.4)) spec["trafficPolicy"] = this.#trafficPolicy();
    if (this.#chance(0.1)) spec["exportTo"] = [this.#pick([".", "*"])];
    if (this.#chance(0.1)) spec["workloadSelector"] = { matchLabels: { app: "frontend" } };
    return istio("DestinationRule", namespace, `${service}-${this.#below(2)}`, spec);
  }

  #serviceEntry(): MeshDocument {
    const i = this.#below(OUTSIDE.length);
    const resolution = this.#pick(["NONE", "STATIC", "DNS"]);
    const addresses = this.#chance(0.5) ? { addresses: [`10.201.0.${i + 1}`] } : {};
    const ports = [
      { number: 80, name: "http", protocol: "HTTP" },
      { number: 443, name: "tls", protocol: "TLS" },
      { number: 5000, name: "tcp", protocol: "TCP" },
    ].filter(() => this.#chance(0.7));
    const endpoints = [1, 2].filter(() => this.#chance(0.8)).map((n) => ({ address: `10.202.${i}.${n}` }));
    const wild = OUTSIDE[i]?.startsWith("*") === true;
    return istio("ServiceEntry", this.#pick(NAMESPACES), `outside-${i}`, {
      hosts: [OUTSIDE[i]],
      ...addresses,
      ports: ports.length === 0 ? [{ number: 80, name: "http", protocol: "HTTP" }] : ports,
      resolution: wild ? "NONE" : resolution,
      ...(resolution === "STATIC" && !wild ? { endpoints } : {}),
      ...(this.#chance(0.2) ? { location: "MESH_INTERNAL" } : {}),
      ...(this.#chance(0.2) ? { exportTo: [this.#pick([".", "*"])] } : {}),
    });
  }

  #gateway(): MeshDocument {
    const servers = [
      { port: { number: 80, name: "http", protocol: "HTTP" }, hosts: [this.#pick(EDGE_HOSTS)] },
      { port: { number: 80, name: "http-all", protocol: "HTTP" }, hosts: ["*"], tls: { httpsRedirect: true } },
      {
        port: { number: 443, name: "https", protocol: "HTTPS" },
        hosts: [this.#pick(EDGE_HOSTS)],
        tls: { mode: "ISTIO_MUTUAL" },
      },
      {
        port: { number: 443, name: "through", protocol: "TLS" },
        hosts: ["through.example.com"],
        tls: { mode: "PASSTHROUGH" },
      },
      { port: { number: 31_400, name: "tcp", protocol: "TCP" }, hosts: ["*"] },
    ].filter(() => this.#chance(0.6));
    const selector = { istio: "ingressgateway" };
    const all =
      servers.length === 0 ? [{ port: { number: 80, name: "http", protocol: "HTTP" }, hosts: ["*"] }] : servers;
    return istio("Gateway", "edge", "outside", { selector, servers: all });
  }

  #sidecar(): MeshDocument {
    const hosts = this.#pick([["./*"], ["*/*"], ["a/*", "istio-system/*"], ["./web.a.svc.cluster.local", "b/*"]]);
    const policy = this.#chance(0.2) ? { outboundTrafficPolicy: { mode: "REGISTRY_ONLY" } } : {};
    const selected = this.#chance(0.5) ? { workloadSelector: { labels: { app: "frontend" } } } : {};
    return istio("Sidecar", this.#pick(NAMESPACES), `sidecar-${this.#below(2)}`, {
      ...selected,
      egress: [{ hosts }],
      ...policy,
    });
  }

  #authorizationPolicy(): MeshDocument {
    const to = this.#pick([{ methods: ["GET"] }, { paths: ["/a/*"] }, { ports: ["8080"] }]);
    const document = istio("AuthorizationPolicy", this.#pick(NAMESPACES), `policy-${this.#below(2)}`, {
      selector: { matchLabels: { app: this.#pick(SERVICES).name } },
      action: this.#pick(["ALLOW", "DENY"]),
      rules: [{ to: [{ operation: to }] }],
    });
    return { ...document, apiVersion: "security.istio.io/v1" };
  }

  #trafficPolicy(): unknown {
    return this.#pick<unknown>([
      { tls: { mode: "DISABLE" } },
      { tls: { mode: "ISTIO_MUTUAL" } },
      { connectionPool: { http: { http1MaxPendingRequests: 1 + this.#below(100) } } },
      { loadBalancer: { simple: this.#pick(["ROUND_ROBIN", "RANDOM", "PASSTHROUGH"]) } },
      { loadBalancer: { consistentHash: { httpHeaderName: "x-user" } } },
      { outlierDetection: { consecutive5xxErrors: 1 + this.#below(5) } },
      { portLevelSettings: [{ port: { number: 80 }, tls: { mode: "DISABLE" } }] },
    ]);
  }

  #peerAuthentication(): MeshDocument {
    const mode = this.#pick(["STRICT", "PERMISSIVE", "DISABLE"]);
    const selected = this.#chance(0.4) ? { selector: { matchLabels: { app: this.#pick(SERVICES).name } } } : {};
    const ports =
      this.#chance(0.5) && "selector" in selected
        ? { portLevelMtls: { 8080: { mode: this.#pick(["STRICT", "DISABLE"]) } } }
        : {};
    const namespace = this.#pick([...NAMESPACES, "istio-system"]);
    return {
      ...istio("PeerAuthentication", namespace, `policy-${this.#below(2)}`, { ...selected, mtls: { mode }, ...ports }),
      apiVersion: "security.istio.io/v1",
    };
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  #pick<T>(from: readonly T[]): T {
    const found = from[this.#below(from.length)];
    if (found === undefined) throw new Error("nothing to pick from");
    return found;
  }
}

export function shuffled<T>(from: readonly T[], random: Random): readonly T[] {
  return from
    .map((value) => ({ value, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ value }) => value);
}

export function keyOf({ kind, metadata }: MeshDocument): string {
  return `${kind} ${metadata.namespace}/${metadata.name}`;
}

function istio(kind: string, namespace: string, name: string, spec: unknown): MeshDocument {
  return { apiVersion: "networking.istio.io/v1", kind, metadata: { name, namespace }, spec };
}
