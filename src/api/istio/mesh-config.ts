// MeshConfig: the settings of the whole mesh, as the ConfigMap `istio` holds them in YAML under the key `mesh`.

import { type Static, Type } from "typebox";
import { isRecord, parseYamlDocuments } from "../../base/json.ts";
import { errorIssue, type Issue } from "../issue.ts";
import { validateValue } from "../validate.ts";
import { checkConnectionPool, checkOutlier } from "./destination-rule-check.ts";
import { type Ineffective, warnIneffective } from "./ineffective.ts";
import { checkLocality } from "./locality.ts";
import { checkDuration } from "./rules.ts";
import { durationText, int32, labelMap, mapOf, oneOf, strings, uint32 } from "./shapes.ts";
import { connectionPool, localityLbSetting, outlierDetection } from "./traffic.ts";

/** The ConfigMap's name, in the root namespace. */
export const MESH_CONFIG_NAME = "istio";

const providerService = {
  service: Type.Optional(Type.String()),
  port: Type.Optional(uint32),
  maxTagLength: Type.Optional(uint32),
};

const headerList = Type.Array(Type.Object({ name: Type.Optional(Type.String()), value: Type.Optional(Type.String()) }));

const callSettings = { timeout: Type.Optional(durationText), headers: Type.Optional(headerList) };

const httpService = Type.Object({ path: Type.Optional(Type.String()), ...callSettings });

const authorizer = {
  service: Type.Optional(Type.String()),
  port: Type.Optional(uint32),
  timeout: Type.Optional(durationText),
  failOpen: Type.Optional(Type.Boolean()),
  statusOnError: Type.Optional(Type.String()),
  clearRouteCache: Type.Optional(Type.Boolean()),
  includeRequestBodyInCheck: Type.Optional(
    Type.Object({
      maxRequestBytes: Type.Optional(uint32),
      allowPartialMessage: Type.Optional(Type.Boolean()),
      packAsBytes: Type.Optional(Type.Boolean()),
    }),
  ),
};

const logFormat = Type.Object({ text: Type.Optional(Type.String()), labels: Type.Optional(mapOf(Type.Unknown())) });

const extensionProvider = Type.Object({
  name: Type.String({ minLength: 1 }),
  zipkin: Type.Optional(
    Type.Object({
      ...providerService,
      path: Type.Optional(Type.String()),
      enable64bitTraceId: Type.Optional(Type.Boolean()),
      traceContextOption: Type.Optional(oneOf(["USE_B3", "USE_B3_WITH_W3C_PROPAGATION"])),
      ...callSettings,
    }),
  ),
  opentelemetry: Type.Optional(
    Type.Object({
      ...providerService,
      http: Type.Optional(httpService),
      grpc: Type.Optional(
        Type.Object({ timeout: Type.Optional(durationText), initialMetadata: Type.Optional(headerList) }),
      ),
    }),
  ),
  envoyExtAuthzHttp: Type.Optional(
    Type.Object({
      ...authorizer,
      pathPrefix: Type.Optional(Type.String()),
      includeRequestHeadersInCheck: Type.Optional(strings),
      includeHeadersInCheck: Type.Optional(strings),
      includeAdditionalHeadersInCheck: Type.Optional(labelMap),
      headersToUpstreamOnAllow: Type.Optional(strings),
      headersToDownstreamOnDeny: Type.Optional(strings),
      headersToDownstreamOnAllow: Type.Optional(strings),
    }),
  ),
  envoyExtAuthzGrpc: Type.Optional(Type.Object(authorizer)),
  envoyFileAccessLog: Type.Optional(
    Type.Object({ path: Type.Optional(Type.String()), logFormat: Type.Optional(logFormat) }),
  ),
  envoyHttpAls: Type.Optional(
    Type.Object({
      ...providerService,
      logName: Type.Optional(Type.String()),
      filterStateObjectsToLog: Type.Optional(strings),
      additionalRequestHeadersToLog: Type.Optional(strings),
      additionalResponseHeadersToLog: Type.Optional(strings),
      additionalResponseTrailersToLog: Type.Optional(strings),
    }),
  ),
  envoyTcpAls: Type.Optional(
    Type.Object({
      ...providerService,
      logName: Type.Optional(Type.String()),
      filterStateObjectsToLog: Type.Optional(strings),
    }),
  ),
  envoyOtelAls: Type.Optional(
    Type.Object({ ...providerService, logName: Type.Optional(Type.String()), logFormat: Type.Optional(logFormat) }),
  ),
  prometheus: Type.Optional(Type.Object({})),
});

export type ExtensionProvider = Static<typeof extensionProvider>;

const labelSelector = Type.Object({
  matchLabels: Type.Optional(labelMap),
  matchExpressions: Type.Optional(
    Type.Array(Type.Object({ key: Type.String(), operator: Type.String(), values: Type.Optional(strings) })),
  ),
});

const tls = Type.Object({
  minProtocolVersion: Type.Optional(oneOf(["TLS_AUTO", "TLSV1_2", "TLSV1_3"])),
  ecdhCurves: Type.Optional(strings),
  cipherSuites: Type.Optional(strings),
});

const tracing = Type.Object({
  sampling: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
  customTags: Type.Optional(mapOf(Type.Unknown())),
  maxPathTagLength: Type.Optional(uint32),
});

/** How proxies run: also what a pod's annotation `proxy.istio.io/config` holds. */
export const defaultConfig = Type.Object({
  concurrency: Type.Optional(int32),
  drainDuration: Type.Optional(durationText),
  terminationDrainDuration: Type.Optional(durationText),
  discoveryAddress: Type.Optional(Type.String()),
  holdApplicationUntilProxyStarts: Type.Optional(Type.Boolean()),
  interceptionMode: Type.Optional(oneOf(["REDIRECT", "TPROXY", "NONE"])),
  proxyMetadata: Type.Optional(labelMap),
  tracing: Type.Optional(tracing),
  image: Type.Optional(Type.Object({ imageType: Type.Optional(Type.String()) })),
  /** What stands in front of a gateway. */
  gatewayTopology: Type.Optional(
    Type.Object({
      numTrustedProxies: Type.Optional(uint32),
      forwardClientCertDetails: Type.Optional(
        oneOf(["UNDEFINED", "SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY"]),
      ),
    }),
  ),
});

const schema = Type.Object({
  enableAutoMtls: Type.Optional(Type.Boolean()),
  connectTimeout: Type.Optional(durationText),
  trustDomain: Type.Optional(Type.String()),
  trustDomainAliases: Type.Optional(strings),
  rootNamespace: Type.Optional(Type.String()),
  outboundTrafficPolicy: Type.Optional(
    Type.Object({ mode: Type.Optional(oneOf(["REGISTRY_ONLY", "ALLOW_ANY", "ALLOW_ANY_DYNAMIC_DNS"])) }),
  ),
  inboundTrafficPolicy: Type.Optional(Type.Object({ mode: Type.Optional(oneOf(["PASSTHROUGH", "LOCALHOST"])) })),
  defaultServiceExportTo: Type.Optional(strings),
  defaultVirtualServiceExportTo: Type.Optional(strings),
  defaultDestinationRuleExportTo: Type.Optional(strings),
  localityLbSetting: Type.Optional(localityLbSetting),
  dnsRefreshRate: Type.Optional(durationText),
  discoverySelectors: Type.Optional(Type.Array(labelSelector)),
  defaultHttpRetryPolicy: Type.Optional(
    Type.Object({
      attempts: Type.Optional(int32),
      perTryTimeout: Type.Optional(durationText),
      retryOn: Type.Optional(Type.String()),
      backoff: Type.Optional(durationText),
    }),
  ),
  defaultTrafficPolicy: Type.Optional(
    Type.Object({
      connectionPool: Type.Optional(connectionPool),
      outlierDetection: Type.Optional(outlierDetection),
    }),
  ),
  meshMTLS: Type.Optional(tls),
  tlsDefaults: Type.Optional(tls),
  pathNormalization: Type.Optional(
    Type.Object({
      normalization: Type.Optional(oneOf(["DEFAULT", "NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"])),
    }),
  ),
  accessLogFile: Type.Optional(Type.String()),
  accessLogFormat: Type.Optional(Type.String()),
  accessLogEncoding: Type.Optional(oneOf(["TEXT", "JSON"])),
  enableTracing: Type.Optional(Type.Boolean()),
  enablePrometheusMerge: Type.Optional(Type.Boolean()),
  extensionProviders: Type.Optional(Type.Array(extensionProvider)),
  defaultProviders: Type.Optional(
    Type.Object({
      tracing: Type.Optional(strings),
      metrics: Type.Optional(strings),
      accessLogging: Type.Optional(strings),
    }),
  ),
  defaultConfig: Type.Optional(defaultConfig),
});

export type MeshSettings = Static<typeof schema>;

const NOT_YET = "weft does not act on it yet";

/** Below `defaultConfig`, and in the annotation. */
export const proxySettingsIneffective: readonly Ineffective[] = [
  { field: "concurrency", effect: "a sidecar of weft serves with one thread" },
  { field: "drainDuration", effect: "connections of a replaced listener end with their next answer" },
  { field: "discoveryAddress", effect: "it is given to the injector when it starts" },
  { field: "tracing.customTags", effect: "Telemetry's are followed" },
];

export const meshConfigIneffective: readonly Ineffective[] = [
  { field: "trustDomain", effect: "it is given to the control plane when it starts" },
  { field: "rootNamespace", effect: "it is given to the control plane when it starts" },
  { field: "enableTracing", effect: "a provider (defaultProviders.tracing, or Telemetry's) turns tracing on" },
  { field: "extensionProviders[].envoyHttpAls.filterStateObjectsToLog", effect: NOT_YET },
  { field: "extensionProviders[].envoyTcpAls.filterStateObjectsToLog", effect: NOT_YET },
  { field: "extensionProviders[].prometheus", effect: NOT_YET },
  { field: "defaultProviders.metrics", effect: NOT_YET },
  ...proxySettingsIneffective.map(({ field, effect }) => ({ field: `defaultConfig.${field}`, effect })),
];

export interface ReadMeshSettings {
  readonly settings: MeshSettings;
  /** Errors: the settings are then empty. Warnings: fields that are unknown or change nothing. */
  readonly issues: readonly Issue[];
}

/** The text under `mesh`. Paths of issues begin at the text's own fields. */
export function readMeshSettings(text: string): ReadMeshSettings {
  const parsed = parseYamlDocuments(text);
  if (!parsed.ok) return { settings: {}, issues: [errorIssue("", parsed.error)] };
  const value = parsed.value[0]?.value ?? {};
  if (!isRecord(value)) return { settings: {}, issues: [errorIssue("", "not a map of MeshConfig's fields")] };
  const { issues, value: settings } = validateValue(schema, value);
  const found = [
    ...issues.map((issue): Issue => (issue.reason === "unknown" ? { ...issue, severity: "warning" } : issue)),
    ...checkDuration(settings.connectTimeout, "connectTimeout"),
    ...checkDuration(settings.defaultConfig?.terminationDrainDuration, "defaultConfig.terminationDrainDuration", 0),
    // Which hosts have outlier detection is for their rules to say.
    ...checkLocality(settings.localityLbSetting, "localityLbSetting", true),
    ...checkDuration(settings.dnsRefreshRate, "dnsRefreshRate"),
    ...checkDuration(settings.defaultHttpRetryPolicy?.perTryTimeout, "defaultHttpRetryPolicy.perTryTimeout"),
    ...checkDuration(settings.defaultHttpRetryPolicy?.backoff, "defaultHttpRetryPolicy.backoff"),
    ...checkConnectionPool(settings.defaultTrafficPolicy?.connectionPool, "defaultTrafficPolicy.connectionPool"),
    ...checkOutlier(settings.defaultTrafficPolicy?.outlierDetection, "defaultTrafficPolicy.outlierDetection"),
  ];
  if (found.some(({ severity }) => severity === "error")) return { settings: {}, issues: found };
  return { settings, issues: [...found, ...warnIneffective(settings, meshConfigIneffective)] };
}
