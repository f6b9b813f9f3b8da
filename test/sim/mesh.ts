// The mesh that the table's calls are made in: services of every sort, with fixed addresses. Themes add policies to it.

export interface MeshDocument {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string; readonly [more: string]: unknown };
  readonly [more: string]: unknown;
}

export interface MeshPort {
  readonly name?: string;
  readonly port: number;
  readonly target?: number;
  readonly appProtocol?: string;
}

export interface MeshPod {
  readonly name: string;
  readonly ip: string;
  readonly version?: string;
  readonly account?: string;
  readonly sidecar?: boolean;
  readonly ready?: boolean;
}

export interface MeshService {
  readonly name: string;
  readonly namespace?: string;
  /** None: headless. */
  readonly ip: string;
  readonly ports: readonly MeshPort[];
  readonly pods: readonly MeshPod[];
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A Service, its EndpointSlice and its pods, as documents. */
export function serviceDocuments(service: MeshService): readonly MeshDocument[] {
  const { name, namespace = "production", ip, ports, pods, annotations } = service;
  return [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace, ...(annotations === undefined ? {} : { annotations }) },
      spec: {
        selector: { app: name },
        clusterIP: ip,
        ports: ports.map(({ name: portName, port, target, appProtocol }) => ({
          ...(portName === undefined ? {} : { name: portName }),
          port,
          targetPort: target ?? port,
          ...(appProtocol === undefined ? {} : { appProtocol }),
        })),
      },
    },
    ...pods.map((pod) => podDocument(pod, { app: name, namespace })),
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: `${name}-1`, namespace, labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      ports: ports.map(({ name: portName, port, target }) => ({
        name: portName ?? "",
        port: target ?? port,
        protocol: "TCP",
      })),
      endpoints: pods.map(({ ip: address, name: pod, ready }) => ({
        addresses: [address],
        conditions: { ready: ready ?? true },
        targetRef: { kind: "Pod", name: pod, namespace },
      })),
    },
  ];
}

function podDocument(
  pod: MeshPod,
  { app, namespace }: { readonly app: string; readonly namespace: string },
): MeshDocument {
  const labels: Record<string, string> = { app };
  if (pod.version !== undefined) labels["version"] = pod.version;
  if (pod.sidecar !== false) labels["security.istio.io/tlsMode"] = "istio";
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: pod.name, namespace, labels },
    spec: { serviceAccountName: pod.account ?? app, containers: [{ name: app, image: app }] },
    status: {
      podIP: pod.ip,
      phase: "Running",
      conditions: [{ type: "Ready", status: pod.ready === false ? "False" : "True" }],
    },
  };
}

/** JSON is YAML. */
export function manifestsOf(services: readonly MeshService[]): string {
  return services
    .flatMap(serviceDocuments)
    .map((document) => JSON.stringify(document))
    .join("\n---\n");
}

const versions = (name: string, subnet: string, names: readonly string[]): readonly MeshPod[] =>
  names.map((version, i) => ({ name: `${name}-${version}-0`, ip: `${subnet}.${i + 1}`, version }));

export const MESH: readonly MeshService[] = [
  {
    name: "web",
    ip: "10.96.0.10",
    ports: [{ name: "http-web", port: 80, target: 8080 }],
    pods: versions("web", "10.244.1", ["v1", "v2", "v3"]),
  },
  {
    name: "api",
    ip: "10.96.0.11",
    ports: [{ port: 8080 }],
    pods: versions("api", "10.244.2", ["v1", "v2"]),
  },
  {
    name: "db",
    ip: "10.96.0.12",
    ports: [{ name: "tcp-db", port: 5432 }],
    pods: versions("db", "10.244.3", ["v1", "v2"]),
  },
  {
    name: "legacy",
    ip: "10.96.0.13",
    ports: [
      { name: "http", port: 80, target: 8080 },
      { name: "tcp-old", port: 7000 },
    ],
    pods: [{ name: "legacy-0", ip: "10.244.4.1", sidecar: false }],
  },
  {
    name: "mixed",
    ip: "10.96.0.14",
    ports: [
      { name: "http", port: 80, target: 8080 },
      { name: "tcp", port: 7000 },
    ],
    pods: [
      { name: "mixed-0", ip: "10.244.5.1" },
      { name: "mixed-1", ip: "10.244.5.2", sidecar: false },
    ],
  },
  {
    name: "kafka",
    ip: "None",
    ports: [
      { name: "tcp-kafka", port: 9092 },
      { name: "http-admin", port: 9093 },
      { name: "any", port: 9094 },
    ],
    pods: [
      { name: "kafka-0", ip: "10.244.6.1" },
      { name: "kafka-1", ip: "10.244.6.2" },
      { name: "kafka-2", ip: "10.244.6.3", sidecar: false },
    ],
  },
  {
    name: "ports",
    ip: "10.96.0.15",
    ports: [
      { name: "http-main", port: 80, target: 8080 },
      { name: "http-admin", port: 9090, target: 9091 },
      { name: "tcp-raw", port: 7000 },
      { name: "mysql", port: 3306 },
      { name: "quiet", port: 27_017 },
      { name: "tls-own", port: 8443 },
      { name: "app-http", port: 8500, appProtocol: "http" },
      { name: "http-but-tcp", port: 8501, appProtocol: "tcp" },
      { name: "whatever", port: 8502 },
      { name: "redis-cache", port: 6379 },
    ],
    pods: [{ name: "ports-0", ip: "10.244.7.1" }],
  },
  {
    name: "orders",
    namespace: "shop",
    ip: "10.96.0.20",
    ports: [{ name: "http", port: 80, target: 8080 }],
    pods: [{ name: "orders-0", ip: "10.244.8.1" }],
  },
  {
    name: "hidden",
    namespace: "shop",
    ip: "10.96.0.21",
    ports: [{ name: "http", port: 80, target: 8080 }],
    pods: [{ name: "hidden-0", ip: "10.244.8.2" }],
    annotations: { "networking.istio.io/exportTo": "." },
  },
  {
    name: "shared",
    namespace: "shop",
    ip: "10.96.0.22",
    ports: [{ name: "http", port: 80, target: 8080 }],
    pods: [{ name: "shared-0", ip: "10.244.8.3" }],
    annotations: { "networking.istio.io/exportTo": "., production" },
  },
  {
    name: "web",
    namespace: "shop",
    ip: "10.96.0.23",
    ports: [{ name: "http", port: 80, target: 8080 }],
    pods: [{ name: "web-0", ip: "10.244.8.4" }],
  },
  { name: "empty", ip: "10.96.0.30", ports: [{ name: "http", port: 80, target: 8080 }], pods: [] },
  {
    name: "booting",
    ip: "10.96.0.31",
    ports: [{ name: "tcp", port: 5433 }],
    pods: [{ name: "booting-0", ip: "10.244.9.1", ready: false }],
  },
  {
    name: "secure",
    ip: "10.96.0.40",
    ports: [{ name: "https", port: 443, target: 8443 }],
    pods: versions("secure", "10.244.10", ["v1", "v2"]),
  },
];
