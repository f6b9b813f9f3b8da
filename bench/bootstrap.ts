// One hop of a bench bootstrap: a listener with its filters and the cluster behind it, in protobuf JSON.

import { type CertificateFiles, CLIENT_ID, SERVER_ID } from "./certificates.ts";

export interface Ports {
  readonly frontPort: number;
  readonly middlePort: number;
  readonly adminPort: number;
  readonly originPort: number;
}

export interface HopOptions {
  readonly name: string;
  readonly port: number;
  readonly upstreamPort: number;
  readonly listenTls?: object;
  readonly upstreamTls?: object;
  /** `router` alone; `client`: what a mesh puts on the calling side; `policies`: what it puts on the called side. */
  readonly filters: "router" | "client" | "policies";
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
      sni: "api.production.svc.cluster.local",
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
    filters: [
      {
        name: "envoy.filters.network.http_connection_manager",
        typedConfig: {
          "@type": `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
          statPrefix: options.name,
          codecType: "HTTP1",
          routeConfig: routes(options),
          httpFilters: httpFilters(options),
        },
      },
    ],
    ...(options.listenTls === undefined ? {} : { transportSocket: options.listenTls }),
  };
  return {
    name: options.name,
    address: { socketAddress: { address: "127.0.0.1", portValue: options.port } },
    filterChains: [chain],
  };
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
  return {
    name: options.name,
    virtualHosts: [{ name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route }] }],
  };
}

function httpFilters(options: HopOptions): readonly object[] {
  const router = {
    name: "envoy.filters.http.router",
    typedConfig: { "@type": `${TYPE}.filters.http.router.v3.Router` },
  };
  if (options.filters === "router") return [router];
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

function cluster(options: HopOptions): object {
  const mesh =
    options.filters === "router"
      ? {}
      : { outlierDetection: { consecutive5xx: 5, interval: "30s", baseEjectionTime: "30s" } };
  return {
    name: options.name,
    type: "STATIC",
    connectTimeout: "10s",
    lbPolicy: "LEAST_REQUEST",
    circuitBreakers: {
      thresholds: [
        { maxConnections: 4294967295, maxPendingRequests: 4294967295, maxRequests: 4294967295, maxRetries: 4294967295 },
      ],
    },
    ...mesh,
    loadAssignment: {
      clusterName: options.name,
      endpoints: [
        {
          lbEndpoints: [
            { endpoint: { address: { socketAddress: { address: "127.0.0.1", portValue: options.upstreamPort } } } },
          ],
        },
      ],
    },
    ...(options.upstreamTls === undefined ? {} : { transportSocket: options.upstreamTls }),
  };
}
