// The clusters that the table's routes lead to. The origin answers on three addresses; a host's name tells which one was chosen,
// where a route rewrites the authority to it.

import type { Json } from "./case.ts";

export interface OriginPorts {
  readonly origin: number;
  /** Nobody listens there. */
  readonly refusing: number;
  /** Authorizers. */
  readonly authz: number;
  readonly authzGrpc: number;
}

const NAMES = ["one", "two", "three"] as const;

export function tableClusters(ports: OriginPorts): readonly Json[] {
  const host = (number: 1 | 2 | 3, more: Json = {}, port = ports.origin): Json => {
    const address = { socketAddress: { address: `127.0.0.${number}`, portValue: port } };
    return { endpoint: { address, hostname: `${NAMES[number - 1]}.host` }, ...more };
  };
  return [
    cluster("origin", [host(1)]),
    cluster("nowhere", []),
    cluster("refusing", [host(1, {}, ports.refusing)]),
    cluster("authz", [host(1, {}, ports.authz)]),
    cluster("authz-grpc", [host(1, {}, ports.authzGrpc)], HTTP2),
    subsets(host),
    levels("second-priority", [[host(1, SICK), host(2, SICK)], [host(3)]]),
    levels("three-places", [[host(1)], [host(2)], [host(3)]]),
    levels("all-sick", [[host(1, SICK)]], { healthyPanicThreshold: { value: 0 } }),
    levels("panic", [[host(1, SICK), host(2, SICK)]]),
    levels("degraded", [[host(1, SICK), host(2, { healthStatus: "DEGRADED" })]]),
    checked("check-passes", host(1), "/healthz"),
    checked("check-fails", host(1), "/status/500"),
    levels("draining", [[host(1, { healthStatus: "DRAINING" }), host(2)]]),
  ];
}

const HTTP2: Json = {
  typedExtensionProtocolOptions: {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
      "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
      explicitHttpConfig: { http2ProtocolOptions: {} },
    },
  },
};

const SICK: Json = { healthStatus: "UNHEALTHY" };

function cluster(name: string, lbEndpoints: readonly Json[], more: Json = {}): Json {
  const endpoints = lbEndpoints.length === 0 ? [] : [{ lbEndpoints }];
  return { name, type: "STATIC", connectTimeout: "1s", loadAssignment: { clusterName: name, endpoints }, ...more };
}

function levels(name: string, hosts: readonly (readonly Json[])[], commonLbConfig: Json = {}): Json {
  const endpoints = hosts.map((lbEndpoints, priority) => ({ priority, lbEndpoints }));
  return { ...cluster(name, []), loadAssignment: { clusterName: name, endpoints }, commonLbConfig };
}

/** Checked once: the next time is after the table. */
function checked(name: string, host: Json, path: string): Json {
  const times = { timeout: "2s", interval: "60s", unhealthyThreshold: 3, healthyThreshold: 3 };
  return cluster(name, [host], {
    healthChecks: [{ ...times, httpHealthCheck: { path } }],
    commonLbConfig: { healthyPanicThreshold: { value: 0 } },
  });
}

function subsets(host: (number: 1 | 2 | 3, more: Json) => Json): Json {
  const labelled = (labels: Json): Json => ({ metadata: { filterMetadata: { "envoy.lb": labels } } });
  const hosts = [
    host(1, labelled({ version: "v1", stage: "prod" })),
    host(2, labelled({ version: "v2", stage: "prod" })),
    host(3, labelled({ version: "v2", stage: "dev" })),
  ];
  const keys = { keys: ["stage", "version"], fallbackPolicy: "KEYS_SUBSET", fallbackKeysSubset: ["version"] };
  return cluster("subsets", hosts, {
    lbSubsetConfig: {
      fallbackPolicy: "DEFAULT_SUBSET",
      defaultSubset: { version: "v2", stage: "dev" },
      subsetSelectors: [
        { keys: ["version"] },
        { keys: ["stage"], fallbackPolicy: "NO_FALLBACK" },
        { keys: ["zone"], fallbackPolicy: "ANY_ENDPOINT" },
        keys,
      ],
    },
  });
}
