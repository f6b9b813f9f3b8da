// DestinationRule: how to talk to a host once a route chose it.

import { type Static, Type } from "typebox";
import { ageColumn, pathColumn } from "../columns.ts";
import type { Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { checkDestinationRule } from "./destination-rule-check.ts";
import { istioHead } from "./head.ts";
import {
  durationText,
  labelMap,
  meshStatus,
  oneOf,
  portSelector,
  strings,
  uint32,
  workloadSelector,
} from "./shapes.ts";
import { connectionPool, localityLbSetting, outlierDetection } from "./traffic.ts";

const httpCookie = Type.Object({
  name: Type.String(),
  path: Type.Optional(Type.String()),
  ttl: Type.Optional(durationText),
  attributes: Type.Optional(Type.Array(Type.Object({ name: Type.String(), value: Type.Optional(Type.String()) }))),
});

const consistentHash = Type.Object({
  httpHeaderName: Type.Optional(Type.String()),
  httpCookie: Type.Optional(httpCookie),
  useSourceIp: Type.Optional(Type.Boolean()),
  httpQueryParameterName: Type.Optional(Type.String()),
  ringHash: Type.Optional(Type.Object({ minimumRingSize: Type.Optional(Type.Integer({ minimum: 0 })) })),
  maglev: Type.Optional(Type.Object({ tableSize: Type.Optional(Type.Integer({ minimum: 0 })) })),
  minimumRingSize: Type.Optional(Type.Integer({ minimum: 0 })),
});

const loadBalancer = Type.Object({
  simple: Type.Optional(oneOf(["UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST"])),
  consistentHash: Type.Optional(consistentHash),
  localityLbSetting: Type.Optional(localityLbSetting),
  zoneAwareLbSetting: Type.Optional(
    Type.Object({
      enabled: Type.Optional(Type.Boolean()),
      failover: Type.Optional(
        Type.Array(Type.Object({ from: Type.Optional(Type.String()), to: Type.Optional(Type.String()) })),
      ),
      failoverPriority: Type.Optional(strings),
      minClusterSize: Type.Optional(uint32),
    }),
  ),
  warmupDurationSecs: Type.Optional(durationText),
  warmup: Type.Optional(
    Type.Object({
      duration: durationText,
      minimumPercent: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
      aggression: Type.Optional(Type.Number({ minimum: 1 })),
    }),
  ),
});

const clientTls = Type.Object({
  mode: Type.Optional(oneOf(["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"])),
  clientCertificate: Type.Optional(Type.String()),
  privateKey: Type.Optional(Type.String()),
  caCertificates: Type.Optional(Type.String()),
  caCrl: Type.Optional(Type.String()),
  credentialName: Type.Optional(Type.String()),
  subjectAltNames: Type.Optional(strings),
  sni: Type.Optional(Type.String()),
  insecureSkipVerify: Type.Optional(Type.Boolean()),
});

const settings = {
  loadBalancer: Type.Optional(loadBalancer),
  connectionPool: Type.Optional(connectionPool),
  outlierDetection: Type.Optional(outlierDetection),
  tls: Type.Optional(clientTls),
};

const portSettings = Type.Object({ port: Type.Optional(portSelector), ...settings });

const trafficPolicy = Type.Object({
  ...settings,
  portLevelSettings: Type.Optional(Type.Array(portSettings, { maxItems: 4096 })),
  tunnel: Type.Optional(
    Type.Object({ protocol: Type.Optional(Type.String()), targetHost: Type.String(), targetPort: uint32 }),
  ),
  proxyProtocol: Type.Optional(Type.Object({ version: Type.Optional(oneOf(["V1", "V2"])) })),
  retryBudget: Type.Optional(
    Type.Object({
      percent: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
      minRetryConcurrency: Type.Optional(uint32),
      budgetInterval: Type.Optional(durationText),
    }),
  ),
});

const subset = Type.Object({
  name: Type.String({ minLength: 1 }),
  labels: Type.Optional(labelMap),
  trafficPolicy: Type.Optional(trafficPolicy),
});

const schema = Type.Object({
  spec: Type.Object({
    host: Type.String(),
    trafficPolicy: Type.Optional(trafficPolicy),
    subsets: Type.Optional(Type.Array(subset)),
    exportTo: Type.Optional(strings),
    workloadSelector: Type.Optional(workloadSelector),
  }),
  status: Type.Optional(meshStatus),
});

export type DestinationRule = KubeObject & Static<typeof schema>;
export type TrafficPolicy = Static<typeof trafficPolicy>;
export type LoadBalancerSettings = Static<typeof loadBalancer>;
export type ClientTls = Static<typeof clientTls>;
export type Subset = Static<typeof subset>;

export const destinationRuleKind: Kind<DestinationRule> = {
  ...istioHead("networking"),
  versions: ["v1", "v1beta1", "v1alpha3"],
  kind: "DestinationRule",
  plural: "destinationrules",
  singular: "destinationrule",
  shortNames: ["dr"],
  schema,
  columns: [pathColumn("Host", ".spec.host"), ageColumn],
  check: checkDestinationRule,
};
