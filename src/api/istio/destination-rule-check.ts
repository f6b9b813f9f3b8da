// Cross-field rules of DestinationRule.

import { isIP } from "node:net";
import { errorIssue, type Issue, warningIssue } from "../issue.ts";
import type { ClientTls, DestinationRule, LoadBalancerSettings, TrafficPolicy } from "./destination-rule.ts";
import { type Ineffective, warnIneffective } from "./ineffective.ts";
import { checkLocality } from "./locality.ts";
import { checkAtMostOne, checkDuration, checkHost, checkPort, checkRange, quote } from "./rules.ts";
import type { ConnectionPool, OutlierDetectionSettings } from "./traffic.ts";

/** Below each of `spec.trafficPolicy`, its port levels and the subsets'. */
const POLICY_INEFFECTIVE: readonly Ineffective[] = [
  {
    field: "loadBalancer.zoneAwareLbSetting",
    effect: "the mesh's localityLbSetting holds: write localityLbSetting instead",
  },
  { field: "connectionPool.http.h2UpgradePolicy", effect: "HTTP/2 is carried as TCP for now" },
  { field: "connectionPool.http.useClientProtocol", effect: "HTTP/2 is carried as TCP for now" },
  { field: "connectionPool.http.maxConcurrentStreams", effect: "HTTP/2 is carried as TCP for now" },
  { field: "connectionPool.http.http2KeepAlive", effect: "HTTP/2 is carried as TCP for now" },
  { field: "retryBudget.budgetInterval", effect: "the budget counts the requests that are under way" },
];

const PLACES = [
  "spec.trafficPolicy",
  "spec.trafficPolicy.portLevelSettings[]",
  "spec.subsets[].trafficPolicy",
  "spec.subsets[].trafficPolicy.portLevelSettings[]",
];

export const destinationRuleIneffective: readonly Ineffective[] = [
  ...PLACES.flatMap((place) => POLICY_INEFFECTIVE.map(({ field, effect }) => ({ field: `${place}.${field}`, effect }))),
];

export function checkDestinationRule(object: DestinationRule): readonly Issue[] {
  const { spec } = object;
  const issues: Issue[] = [
    ...checkHost(spec.host, "spec.host", { wildcard: true }),
    ...checkPolicy(spec.trafficPolicy, "spec.trafficPolicy"),
    ...warnIneffective(object, destinationRuleIneffective),
    ...warnCredentials(object),
  ];
  const seen = new Set<string>();
  (spec.subsets ?? []).forEach((subset, i) => {
    const path = `spec.subsets[${i}]`;
    if (seen.has(subset.name)) {
      issues.push(errorIssue(`${path}.name`, `duplicate subset names: ${subset.name}`, "duplicate"));
    }
    seen.add(subset.name);
    if (!/^[a-zA-Z0-9]([-._a-zA-Z0-9]*[a-zA-Z0-9])?$/.test(subset.name)) {
      issues.push(errorIssue(`${path}.name`, `${quote(subset.name)} is not a subset name`));
    }
    issues.push(...checkPolicy(subset.trafficPolicy, `${path}.trafficPolicy`));
  });
  return issues;
}

function checkPolicy(policy: TrafficPolicy | undefined, path: string): readonly Issue[] {
  if (policy === undefined) return [];
  const issues: Issue[] = [...checkSettings(policy, path), ...checkTunnel(policy.tunnel, `${path}.tunnel`)];
  (policy.portLevelSettings ?? []).forEach((level, i) => {
    const at = `${path}.portLevelSettings[${i}]`;
    if (level.port?.number === undefined) issues.push(errorIssue(`${at}.port`, "must name a port number", "required"));
    issues.push(...checkPort(level.port?.number, `${at}.port.number`), ...checkSettings(level, at));
  });
  return issues;
}

function checkTunnel(tunnel: TrafficPolicy["tunnel"], path: string): readonly Issue[] {
  if (tunnel === undefined) return [];
  const { protocol = "CONNECT", targetHost, targetPort } = tunnel;
  const issues: Issue[] = [...checkPort(targetPort, `${path}.targetPort`)];
  if (isIP(targetHost) === 0) issues.push(...checkHost(targetHost, `${path}.targetHost`, { wildcard: false }));
  if (!["", "CONNECT", "POST"].includes(protocol.toUpperCase())) {
    issues.push(errorIssue(`${path}.protocol`, "tunnel protocol must be either CONNECT or POST", "unsupported"));
  } else if (protocol.toUpperCase() === "POST") {
    const text =
      "accepted, but only Envoy tunnels by POST: connections through weft's own proxies are closed. Write CONNECT";
    issues.push(warningIssue(`${path}.protocol`, text));
  }
  return issues;
}

/** Of clients only those that a rule chooses read Secrets, and gateways. */
function warnCredentials({ spec }: DestinationRule): readonly Issue[] {
  if (Object.keys(spec.workloadSelector?.matchLabels ?? {}).length > 0) return [];
  const table = PLACES.map((place) => ({
    field: `${place}.tls.credentialName`,
    effect: "only gateways read it: sidecars do where the rule chooses them by workloadSelector",
  }));
  return warnIneffective({ spec }, table);
}

type Settings = Pick<TrafficPolicy, "loadBalancer" | "connectionPool" | "outlierDetection" | "tls">;

function checkSettings(settings: Settings, path: string): readonly Issue[] {
  return [
    ...checkLoadBalancer(settings.loadBalancer, `${path}.loadBalancer`),
    ...checkLocality(
      settings.loadBalancer?.localityLbSetting,
      `${path}.loadBalancer.localityLbSetting`,
      settings.outlierDetection !== undefined,
    ),
    ...checkConnectionPool(settings.connectionPool, `${path}.connectionPool`),
    ...checkOutlier(settings.outlierDetection, `${path}.outlierDetection`),
    ...checkTls(settings.tls, `${path}.tls`),
  ];
}

function checkLoadBalancer(value: LoadBalancerSettings | undefined, path: string): readonly Issue[] {
  if (value === undefined) return [];
  const hash = value.consistentHash;
  const issues: Issue[] = [
    ...checkAtMostOne(value, ["simple", "consistentHash"], path),
    ...checkAtMostOne(value, ["warmup", "warmupDurationSecs"], path),
    ...checkAtMostOne(value, ["localityLbSetting", "zoneAwareLbSetting"], path),
    ...checkDuration(value.warmupDurationSecs, `${path}.warmupDurationSecs`),
    ...checkDuration(value.warmup?.duration, `${path}.warmup.duration`),
  ];
  const warms = value.warmup !== undefined || value.warmupDurationSecs !== undefined;
  if (warms && (hash !== undefined || value.simple === "RANDOM" || value.simple === "PASSTHROUGH")) {
    const message =
      "only ROUND_ROBIN and LEAST_REQUEST warm new endpoints up; with this policy each gets its share at once";
    issues.push(warningIssue(`${path}.${value.warmup === undefined ? "warmupDurationSecs" : "warmup"}`, message));
  }
  if (hash !== undefined) {
    const keys = ["httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"];
    issues.push(...checkAtMostOne(hash, keys, `${path}.consistentHash`));
    issues.push(...checkAtMostOne(hash, ["ringHash", "maglev"], `${path}.consistentHash`));
    issues.push(...checkDuration(hash.httpCookie?.ttl, `${path}.consistentHash.httpCookie.ttl`, 0));
    if (hash.httpCookie?.name === "")
      issues.push(errorIssue(`${path}.consistentHash.httpCookie.name`, "must not be empty", "required"));
    issues.push(...checkTable(hash, `${path}.consistentHash`));
    if (keys.every((key) => Reflect.get(hash, key) === undefined)) {
      issues.push(errorIssue(`${path}.consistentHash`, `one of ${keys.join(", ")} is required`, "required"));
    }
  }
  return issues;
}

const RING_SIZE_MAX = 8_388_608;
const TABLE_SIZE_MAX = 5_000_011;

/** What Envoy refuses a cluster for. */
function checkTable(
  { maglev, ringHash, minimumRingSize }: NonNullable<LoadBalancerSettings["consistentHash"]>,
  path: string,
): readonly Issue[] {
  const size = maglev?.tableSize ?? 0;
  const range = { min: 0, max: RING_SIZE_MAX };
  const issues = [
    ...checkRange(ringHash?.minimumRingSize, `${path}.ringHash.minimumRingSize`, range),
    ...checkRange(minimumRingSize, `${path}.minimumRingSize`, range),
  ];
  if (size !== 0 && (size > TABLE_SIZE_MAX || !isPrime(size))) {
    issues.push(errorIssue(`${path}.maglev.tableSize`, `must be a prime number of at most ${TABLE_SIZE_MAX}`));
  }
  return issues;
}

function isPrime(number: number): boolean {
  if (number < 2) return false;
  for (let divisor = 2; divisor * divisor <= number; divisor += 1) if (number % divisor === 0) return false;
  return true;
}

export function checkConnectionPool(value: ConnectionPool | undefined, path: string): readonly Issue[] {
  if (value === undefined) return [];
  const issues: Issue[] = [];
  const limits: readonly (readonly [string, number | undefined])[] = [
    ["tcp.maxConnections", value.tcp?.maxConnections],
    ["http.http1MaxPendingRequests", value.http?.http1MaxPendingRequests],
    ["http.http2MaxRequests", value.http?.http2MaxRequests],
    ["http.maxRequestsPerConnection", value.http?.maxRequestsPerConnection],
    ["http.maxRetries", value.http?.maxRetries],
    ["http.maxConcurrentStreams", value.http?.maxConcurrentStreams],
  ];
  for (const [field, limit] of limits) {
    if (limit !== undefined && limit < 0) issues.push(errorIssue(`${path}.${field}`, "must not be negative"));
  }
  issues.push(
    ...checkDuration(value.tcp?.connectTimeout, `${path}.tcp.connectTimeout`),
    ...checkDuration(value.tcp?.maxConnectionDuration, `${path}.tcp.maxConnectionDuration`),
    ...checkDuration(value.tcp?.idleTimeout, `${path}.tcp.idleTimeout`, 0),
    ...checkDuration(value.tcp?.tcpKeepalive?.time, `${path}.tcp.tcpKeepalive.time`, 1_000),
    ...checkDuration(value.tcp?.tcpKeepalive?.interval, `${path}.tcp.tcpKeepalive.interval`, 1_000),
    ...checkDuration(value.http?.idleTimeout, `${path}.http.idleTimeout`, 0),
    ...checkDuration(value.http?.http2KeepAlive?.interval, `${path}.http.http2KeepAlive.interval`),
    ...checkDuration(value.http?.http2KeepAlive?.timeout, `${path}.http.http2KeepAlive.timeout`),
  );
  if (value.http?.useClientProtocol === true && value.http.h2UpgradePolicy === "UPGRADE") {
    issues.push(errorIssue(`${path}.http`, "use client protocol must not be true when H2UpgradePolicy is UPGRADE"));
  }
  return issues;
}

export function checkOutlier(value: OutlierDetectionSettings | undefined, path: string): readonly Issue[] {
  if (value === undefined) return [];
  const issues: Issue[] = [
    ...checkDuration(value.interval, `${path}.interval`),
    ...checkDuration(value.baseEjectionTime, `${path}.baseEjectionTime`),
    ...checkRange(value.maxEjectionPercent, `${path}.maxEjectionPercent`, { min: 0, max: 100 }),
    ...(value.outlierDetectionHttpErrorCodes ?? []).flatMap((code, i) =>
      checkRange(code, `${path}.outlierDetectionHttpErrorCodes[${i}]`, { min: 100, max: 599 }),
    ),
    ...checkRange(value.minHealthPercent, `${path}.minHealthPercent`, { min: 0, max: 100 }),
  ];
  if (value.consecutiveErrors !== undefined) {
    issues.push(
      warningIssue(
        `${path}.consecutiveErrors`,
        `${path}.consecutiveErrors is deprecated; it counts as consecutive5xxErrors, write that instead`,
      ),
    );
    if (value.consecutiveErrors < 0) issues.push(errorIssue(`${path}.consecutiveErrors`, "must not be negative"));
  }
  const localOrigin = value.consecutiveLocalOriginFailures ?? value.consecutiveConnectFailure;
  if (value.consecutiveLocalOriginFailures !== undefined && value.splitExternalLocalOriginErrors !== true) {
    issues.push(
      errorIssue(
        `${path}.consecutiveLocalOriginFailures`,
        "consecutive local origin failures is specified, but split between external and local origin errors is disabled",
      ),
    );
  }
  if (localOrigin !== undefined && value.splitExternalLocalOriginErrors === false) {
    issues.push(
      warningIssue(
        path,
        `${path}.consecutiveConnectFailure counts failed connects apart from 5xx, as with splitExternalLocalOriginErrors: true`,
      ),
    );
  }
  return issues;
}

const CERTIFICATE_FILES = ["clientCertificate", "privateKey", "caCertificates"] as const;

function checkTls(value: ClientTls | undefined, path: string): readonly Issue[] {
  if (value === undefined) return [];
  const isSet = (field: "credentialName" | (typeof CERTIFICATE_FILES)[number]) => (value[field] ?? "") !== "";
  const issues: Issue[] = [];
  if (value.mode === "ISTIO_MUTUAL") {
    const foreign = ([...CERTIFICATE_FILES, "credentialName"] as const).filter(isSet);
    const message = "must not be set with mode ISTIO_MUTUAL: the mesh provides the certificates";
    issues.push(...foreign.map((field) => errorIssue(`${path}.${field}`, message)));
  }
  if (value.mode === "MUTUAL" && !isSet("credentialName")) {
    const missing = (["clientCertificate", "privateKey"] as const).filter((field) => !isSet(field));
    issues.push(...missing.map((field) => errorIssue(`${path}.${field}`, "is required with mode MUTUAL", "required")));
  }
  if ((value.caCrl ?? "") !== "" && !isSet("caCertificates")) {
    issues.push(errorIssue(`${path}.caCrl`, "needs caCertificates: the list is checked against their authority"));
  }
  if (isSet("credentialName") && CERTIFICATE_FILES.some(isSet)) {
    issues.push(errorIssue(`${path}.credentialName`, "must not be set together with certificate files"));
  }
  return issues;
}
