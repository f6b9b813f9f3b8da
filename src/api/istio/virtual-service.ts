// VirtualService: where requests for a host go.

import { type Static, Type } from "typebox";
import { ageColumn, pathColumn } from "../columns.ts";
import type { Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { istioHead } from "./head.ts";
import {
  durationText,
  int32,
  labelMap,
  mapOf,
  meshStatus,
  oneOf,
  percentValue,
  portNumber,
  portSelector,
  stringMatch,
  strings,
  uint32,
} from "./shapes.ts";
import { checkVirtualService } from "./virtual-service-check.ts";

const destination = Type.Object({
  host: Type.String(),
  subset: Type.Optional(Type.String()),
  port: Type.Optional(portSelector),
});

const headerOperations = Type.Object({
  set: Type.Optional(labelMap),
  add: Type.Optional(labelMap),
  remove: Type.Optional(strings),
});

const headers = Type.Object({
  request: Type.Optional(headerOperations),
  response: Type.Optional(headerOperations),
});

const httpMatch = Type.Object({
  name: Type.Optional(Type.String()),
  uri: Type.Optional(stringMatch),
  scheme: Type.Optional(stringMatch),
  method: Type.Optional(stringMatch),
  authority: Type.Optional(stringMatch),
  headers: Type.Optional(mapOf(stringMatch)),
  withoutHeaders: Type.Optional(mapOf(stringMatch)),
  queryParams: Type.Optional(mapOf(stringMatch)),
  port: Type.Optional(portNumber),
  sourceLabels: Type.Optional(labelMap),
  sourceNamespace: Type.Optional(Type.String()),
  gateways: Type.Optional(strings),
  ignoreUriCase: Type.Optional(Type.Boolean()),
  statPrefix: Type.Optional(Type.String()),
});

const httpDestination = Type.Object({
  destination,
  weight: Type.Optional(int32),
  headers: Type.Optional(headers),
});

const redirect = Type.Object({
  uri: Type.Optional(Type.String()),
  authority: Type.Optional(Type.String()),
  port: Type.Optional(uint32),
  derivePort: Type.Optional(oneOf(["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"])),
  scheme: Type.Optional(Type.String()),
  redirectCode: Type.Optional(uint32),
  prefixRewrite: Type.Optional(Type.String()),
});

const directResponse = Type.Object({
  status: uint32,
  body: Type.Optional(Type.Object({ string: Type.Optional(Type.String()), bytes: Type.Optional(Type.String()) })),
});

const rewrite = Type.Object({
  uri: Type.Optional(Type.String()),
  authority: Type.Optional(Type.String()),
  uriRegexRewrite: Type.Optional(
    Type.Object({ match: Type.Optional(Type.String()), rewrite: Type.Optional(Type.String()) }),
  ),
});

const retries = Type.Object({
  attempts: Type.Optional(int32),
  perTryTimeout: Type.Optional(durationText),
  retryOn: Type.Optional(Type.String()),
  retryRemoteLocalities: Type.Optional(Type.Boolean()),
  retryIgnorePreviousHosts: Type.Optional(Type.Boolean()),
  backoff: Type.Optional(durationText),
});

const fault = Type.Object({
  delay: Type.Optional(
    Type.Object({
      percent: Type.Optional(int32),
      fixedDelay: Type.Optional(durationText),
      exponentialDelay: Type.Optional(durationText),
      percentage: Type.Optional(percentValue),
    }),
  ),
  abort: Type.Optional(
    Type.Object({
      httpStatus: Type.Optional(int32),
      grpcStatus: Type.Optional(Type.String()),
      http2Error: Type.Optional(Type.String()),
      percentage: Type.Optional(percentValue),
    }),
  ),
});

const corsPolicy = Type.Object({
  allowOrigin: Type.Optional(strings),
  allowOrigins: Type.Optional(Type.Array(stringMatch)),
  allowMethods: Type.Optional(strings),
  allowHeaders: Type.Optional(strings),
  exposeHeaders: Type.Optional(strings),
  maxAge: Type.Optional(durationText),
  allowCredentials: Type.Optional(Type.Boolean()),
  unmatchedPreflights: Type.Optional(oneOf(["UNSPECIFIED", "FORWARD", "IGNORE"])),
});

const mirror = Type.Object({ destination, percentage: Type.Optional(percentValue) });

const httpRoute = Type.Object({
  name: Type.Optional(Type.String()),
  match: Type.Optional(Type.Array(httpMatch)),
  route: Type.Optional(Type.Array(httpDestination)),
  redirect: Type.Optional(redirect),
  directResponse: Type.Optional(directResponse),
  delegate: Type.Optional(Type.Object({ name: Type.Optional(Type.String()), namespace: Type.Optional(Type.String()) })),
  rewrite: Type.Optional(rewrite),
  timeout: Type.Optional(durationText),
  retries: Type.Optional(retries),
  fault: Type.Optional(fault),
  mirror: Type.Optional(destination),
  mirrors: Type.Optional(Type.Array(mirror)),
  mirrorPercent: Type.Optional(uint32),
  mirror_percent: Type.Optional(uint32),
  mirrorPercentage: Type.Optional(percentValue),
  corsPolicy: Type.Optional(corsPolicy),
  headers: Type.Optional(headers),
});

const l4Destination = Type.Object({ destination, weight: Type.Optional(int32) });

const tlsRoute = Type.Object({
  match: Type.Array(
    Type.Object({
      sniHosts: strings,
      destinationSubnets: Type.Optional(strings),
      port: Type.Optional(portNumber),
      sourceLabels: Type.Optional(labelMap),
      sourceNamespace: Type.Optional(Type.String()),
      gateways: Type.Optional(strings),
    }),
  ),
  route: Type.Optional(Type.Array(l4Destination)),
});

const tcpRoute = Type.Object({
  match: Type.Optional(
    Type.Array(
      Type.Object({
        destinationSubnets: Type.Optional(strings),
        port: Type.Optional(portNumber),
        sourceSubnet: Type.Optional(Type.String()),
        sourceLabels: Type.Optional(labelMap),
        sourceNamespace: Type.Optional(Type.String()),
        gateways: Type.Optional(strings),
      }),
    ),
  ),
  route: Type.Optional(Type.Array(l4Destination)),
});

const schema = Type.Object({
  spec: Type.Object({
    hosts: Type.Optional(strings),
    gateways: Type.Optional(strings),
    http: Type.Optional(Type.Array(httpRoute)),
    tls: Type.Optional(Type.Array(tlsRoute)),
    tcp: Type.Optional(Type.Array(tcpRoute)),
    exportTo: Type.Optional(strings),
  }),
  status: Type.Optional(meshStatus),
});

export type VirtualService = KubeObject & Static<typeof schema>;
export type HttpRoute = Static<typeof httpRoute>;
export type TcpRoute = Static<typeof tcpRoute>;
export type TlsRoute = Static<typeof tlsRoute>;
export type HttpMatch = Static<typeof httpMatch>;
export type Destination = Static<typeof destination>;
export type HeaderOperations = Static<typeof headerOperations>;
export type HttpRetries = Static<typeof retries>;
export type HttpFault = Static<typeof fault>;
export type CorsSettings = Static<typeof corsPolicy>;

export const virtualServiceKind: Kind<VirtualService> = {
  ...istioHead("networking"),
  versions: ["v1", "v1beta1", "v1alpha3"],
  kind: "VirtualService",
  plural: "virtualservices",
  singular: "virtualservice",
  shortNames: ["vs"],
  schema,
  columns: [pathColumn("Gateways", ".spec.gateways"), pathColumn("Hosts", ".spec.hosts"), ageColumn],
  check: checkVirtualService,
};
