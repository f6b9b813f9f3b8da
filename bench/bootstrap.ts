// One hop of a bench bootstrap: a listener with its filters and the cluster behind it, in protobuf JSON.

import { type CertificateFiles, CLIENT_ID, SERVER_ID, SERVER_NAME } from "./certificates.ts";

export interface CaseOptions {
  readonly frontPort: number;
  readonly middlePort: number;
  readonly adminPort: number;
  readonly originPort: number;
  readonly certificates: CertificateFiles;
}

interface HopOptions {
  readonly name: string;
  readonly port: number;
  readonly upstreamPort: number;
  readonly listenTls?: object;
  readonly upstreamTls?: object;
  /** What a mesh puts on the calling side or on the called side; without: the router alone. */
  readonly filters?: "client" | "server";
  /** Spliced, not HTTP. */
  readonly tcp?: boolean;
  /** How many routes stand in the table; without, one for every path. */
  readonly routes?: number;
  readonly maxRequestsPerConnection?: number;
  /** Envoy's default circuit breakers instead of none. */
  readonly bounded?: boolean;
  /** One request in a hundred is traced, its spans go to the cluster `traces`. */
  readonly traced?: boolean;
}

const TYPE = "type.googleapis.com/envoy.extensions";
const POLICIES = 10;

export function hop(options: HopOptions): { readonly listener: object; readonly cluster: object } {
  return { listener: listener(options), cluster: cluster(options) };
}

export function inboundTls(files: CertificateFiles): object {
  return {
    name: "envoy.transport_sockets.tls",
    typedConfig: {
      "@type": `${TYPE}.transport_sockets.tls.v3.DownstreamTlsContext`,
      requireClientCertificate: true,
      commonTlsContext: { ...commonTls(files.root, files.server, CLIENT_ID) },
    },
  };
}

export function outboundTls(files: CertificateFiles): object {
  return {
    name: "envoy.transport_sockets.tls",
    typedConfig: {
      "@type": `${TYPE}.transport_sockets.tls.v3.UpstreamTlsContext`,
      sni: SERVER_NAME,
      commonTlsContext: { ...commonTls(files.root, files.client, SERVER_ID) },
    },
  };
}

function commonTls(root: string, own: { readonly chain: string; readonly key: string }, peer: string): object {
  return {
    tlsCertificates: [{ certificateChain: { filename: own.chain }, privateKey: { filename: own.key } }],
    validationContext: {
      trustedCa: { filename: root },
      matchTypedSubjectAltNames: [{ sanType: "URI", matcher: { exact: peer } }],
    },
  };
}

function listener(options: HopOptions): object {
  const chain = {
    filters: [options.tcp === true ? tcpProxy(options) : connectionManager(options)],
    ...(options.listenTls === undefined ? {} : { transportSocket: options.listenTls }),
  };
  return {
    name: options.name,
    address: { socketAddress: { address: "127.0.0.1", portValue: options.port } },
    filterChains: [chain],
  };
}

function tcpProxy(options: HopOptions): object {
  return {
    name: "envoy.filters.network.tcp_proxy",
    typedConfig: {
      "@type": `${TYPE}.filters.network.tcp_proxy.v3.TcpProxy`,
      statPrefix: options.name,
      cluster: options.name,
    },
  };
}

function connectionManager(options: HopOptions): object {
  return {
    name: "envoy.filters.network.http_connection_manager",
    typedConfig: {
      "@type": `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      statPrefix: options.name,
      codecType: "HTTP1",
      routeConfig: routes(options),
      httpFilters: httpFilters(options),
      ...(options.traced === true ? { tracing: tracing() } : {}),
    },
  };
}

function tracing(): object {
  const uri = { uri: `http://${TRACES}/v1/traces`, cluster: TRACES, timeout: "1s" };
  const typedConfig = {
    "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
    httpService: { httpUri: uri },
    serviceName: "bench",
  };
  return { randomSampling: { value: 1 }, provider: { name: "envoy.tracers.opentelemetry", typedConfig } };
}

function routes(options: HopOptions): object {
  const retryPolicy = {
    retryOn: "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
    numRetries: 2,
    hostSelectionRetryMaxAttempts: "5",
  };
  const route = {
    cluster: options.name,
    timeout: "10s",
    ...(options.filters === "client" ? { retryPolicy } : {}),
  };
  // Prefixes and exact paths in turn, as VirtualServices with many matches make them.
  const many = Array.from({ length: options.routes ?? 0 }, (_unused, index) => ({
    match: index % 2 === 0 ? { path: `/service-${index}/exact` } : { prefix: `/service-${index}/` },
    route,
  }));
  return {
    name: options.name,
    virtualHosts: [{ name: "all", domains: ["*"], routes: [...many, { match: { prefix: "/" }, route }] }],
  };
}

function httpFilters(options: HopOptions): readonly object[] {
  const router = plainFilter("router", "Router");
  if (options.filters === undefined) return [router];
  const sides = [plainFilter("fault", "HTTPFault"), plainFilter("cors", "Cors")];
  return options.filters === "client" ? [...sides, router] : [rbac(), ...sides, router];
}

function plainFilter(name: string, message: string): object {
  return { name: `envoy.filters.http.${name}`, typedConfig: { "@type": `${TYPE}.filters.http.${name}.v3.${message}` } };
}

/** Ten policies as an AuthorizationPolicy makes them; the last one allows. */
function rbac(): object {
  const policies = Object.fromEntries(
    Array.from({ length: POLICIES }, (_unused, index) => [
      `ns[production]-policy[api-${index}]-rule[0]`,
      policy(index === POLICIES - 1 ? "frontend" : `caller-${index}`),
    ]),
  );
  return {
    name: "envoy.filters.http.rbac",
    typedConfig: { "@type": `${TYPE}.filters.http.rbac.v3.RBAC`, rules: { action: "ALLOW", policies } },
  };
}

function policy(account: string): object {
  const exact = `spiffe://cluster.local/ns/production/sa/${account}`;
  const method = (name: string) => ({ header: { name: ":method", stringMatch: { exact: name } } });
  return {
    permissions: [
      {
        andRules: {
          rules: [
            { orRules: { rules: [method("GET"), method("POST")] } },
            { orRules: { rules: [{ urlPath: { path: { prefix: "/api/" } } }] } },
          ],
        },
      },
    ],
    principals: [{ andIds: { ids: [{ orIds: { ids: [{ authenticated: { principalName: { exact } } }] } }] } }],
  };
}

/** Loaded, never called. */
const TRACES = "traces";

/** Whose answer to a report does not matter: what a report costs the proxy is the same. */
export function tracesCluster(upstreamPort: number): object {
  return cluster({ name: TRACES, port: 0, upstreamPort });
}

export function idleClusters(count: number, upstreamPort: number): readonly object[] {
  return Array.from({ length: count }, (_unused, index) =>
    cluster({ name: `idle-${index}`, port: 0, upstreamPort, filters: "client" }),
  );
}

const UNBOUNDED = 4_294_967_295;

function cluster(options: HopOptions): object {
  const { filters, maxRequestsPerConnection, name, upstreamPort } = options;
  const ejection = { outlierDetection: { consecutive5xx: 5, interval: "30s", baseEjectionTime: "30s" } };
  const all = {
    maxConnections: UNBOUNDED,
    maxPendingRequests: UNBOUNDED,
    maxRequests: UNBOUNDED,
    maxRetries: UNBOUNDED,
  };
  return {
    name,
    type: "STATIC",
    connectTimeout: "10s",
    lbPolicy: "LEAST_REQUEST",
    ...(options.bounded === true ? {} : { circuitBreakers: { thresholds: [all] } }),
    ...(filters === undefined ? {} : ejection),
    ...(maxRequestsPerConnection === undefined ? {} : { maxRequestsPerConnection }),
    loadAssignment: {
      clusterName: name,
      endpoints: [
        {
          lbEndpoints: [
            { endpoint: { address: { socketAddress: { address: "127.0.0.1", portValue: upstreamPort } } } },
          ],
        },
      ],
    },
    ...(options.upstreamTls === undefined ? {} : { transportSocket: options.upstreamTls }),
  };
}
