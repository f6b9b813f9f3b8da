// The sidecar's contract, read: environment and files to one typed configuration, with every problem named at once.

import path from "node:path";
import { isRecord, parseJson } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import { DEFAULT_TRUST_DOMAIN, type WorkloadIdentity } from "../identity/spiffe.ts";
import { type CertificateSettings, readCertificateSettings } from "./certificate-settings.ts";
import { DRAIN_MAX_MS, DRAIN_MS } from "./limits.ts";
import { type Prober, readProbers } from "./prober.ts";

export type InterceptionMode = "REDIRECT" | "NONE";
export type ProxyType = "sidecar" | "router";

export interface AppMetrics {
  readonly port: number;
  readonly path: string;
}

export interface SidecarConfig {
  readonly proxyType: ProxyType;
  readonly podName: string;
  readonly identity: WorkloadIdentity;
  readonly instanceIp: string;
  readonly dnsDomain: string;
  /** `HOST:PORT` of the control plane and of the certificate authority. */
  readonly discoveryAddress: string;
  readonly caAddress: string;
  readonly interceptionMode: InterceptionMode;
  /** The application's DNS questions are led here. */
  readonly dnsCapture: boolean;
  /** What the workload is called in traces: its label `app`, or its own name. */
  readonly appName: string;
  readonly nodeMetadata: Readonly<Record<string, unknown>>;
  readonly files: SidecarFiles;
  readonly certificate: CertificateSettings;
  readonly probers: ReadonlyMap<string, Prober>;
  readonly appMetrics: AppMetrics | undefined;
  readonly drainMs: number;
  /** Envoy's worker threads; 0: one for each processor. */
  readonly concurrency: number;
}

export interface SidecarFiles {
  readonly token: string;
  readonly root: string;
  readonly certificateDirectory: string;
  /** The proxy's own: its bootstrap, and the agent's sockets. */
  readonly proxyDirectory: string;
}

export interface EnvironmentInput {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly proxyType: ProxyType;
  /** `--domain`; empty: made of the namespace. */
  readonly dnsDomain: string;
  /** Undefined when there is no such file. */
  readFile(file: string): string | undefined;
}

export function readEnvironment(input: EnvironmentInput): Result<SidecarConfig, readonly string[]> {
  const issues: string[] = [];
  const { env } = input;
  const required = (name: string) => {
    const value = env[name] ?? "";
    if (value === "") issues.push(`${name} is not set: the injector sets it on the container istio-proxy`);
    return value;
  };
  const root = env["WEFT_FILES_ROOT"] ?? "";
  const place = (file: string) => (root === "" ? file : path.join(root, file));
  const proxyConfig = readProxyConfig(env["PROXY_CONFIG"], issues);
  const podName = required("POD_NAME");
  const namespace = required("POD_NAMESPACE");
  const instanceIp = (env["INSTANCE_IP"] ?? "").split(",")[0] ?? "";
  if (instanceIp === "") issues.push("INSTANCE_IP is not set: it is the pod's address");
  const discoveryAddress = stringAt(proxyConfig, "discoveryAddress") ?? "istiod.istio-system.svc:15012";
  const caAddress = env["CA_ADDR"] ?? discoveryAddress;
  for (const [name, value] of Object.entries({
    "PROXY_CONFIG.discoveryAddress": discoveryAddress,
    CA_ADDR: caAddress,
  })) {
    if (!/^\S+:\d+$/.test(value)) issues.push(`${name}: "${value}" is not HOST:PORT`);
  }
  const interceptionMode = readMode(env["ISTIO_META_INTERCEPTION_MODE"], issues);
  const labels = readPodInfo(input.readFile(place("/etc/istio/pod/labels")) ?? "");
  const annotations = readPodInfo(input.readFile(place("/etc/istio/pod/annotations")) ?? "");
  const probers = readProbers(env["ISTIO_KUBE_APP_PROBERS"]);
  if (!probers.ok) issues.push(...probers.error.map((issue) => `ISTIO_KUBE_APP_PROBERS: ${issue}`));
  const certificate = readCertificateSettings(env, issues);
  const serviceAccount = env["SERVICE_ACCOUNT"] ?? "default";
  const identity = { trustDomain: env["TRUST_DOMAIN"] ?? DEFAULT_TRUST_DOMAIN, namespace, serviceAccount };
  if (issues.length > 0 || !probers.ok) return err(issues);
  return ok({
    proxyType: input.proxyType,
    podName,
    identity,
    instanceIp,
    dnsDomain: input.dnsDomain === "" ? `${namespace}.svc.cluster.local` : input.dnsDomain,
    discoveryAddress,
    caAddress,
    interceptionMode,
    appName: labels["app"] ?? labels["app.kubernetes.io/name"] ?? env["ISTIO_META_WORKLOAD_NAME"] ?? podName,
    dnsCapture: env["ISTIO_META_DNS_CAPTURE"] === "true",
    nodeMetadata: nodeMetadata(env, { labels, annotations, proxyConfig, identity, podName, instanceIp }),
    files: {
      token: place("/var/run/secrets/tokens/istio-token"),
      root: place("/var/run/secrets/istio/root-cert.pem"),
      certificateDirectory: place("/etc/certs/out"),
      proxyDirectory: place("/etc/istio/proxy"),
    },
    certificate,
    probers: probers.value,
    appMetrics: readAppMetrics(env["ISTIO_PROMETHEUS_ANNOTATIONS"], annotations),
    drainMs: readDrain(proxyConfig),
    concurrency: readConcurrency(proxyConfig["concurrency"]),
  });
}

function readProxyConfig(text: string | undefined, issues: string[]): Readonly<Record<string, unknown>> {
  if (text === undefined || text === "") return {};
  const parsed = parseJson(text);
  if (parsed.ok && isRecord(parsed.value)) return parsed.value;
  issues.push(`PROXY_CONFIG is not a JSON object${parsed.ok ? "" : `: ${parsed.error}`}`);
  return {};
}

function readMode(text: string | undefined, issues: string[]): InterceptionMode {
  if (text === "NONE" || text === "REDIRECT") return text;
  if (text !== undefined && text !== "") {
    issues.push(`ISTIO_META_INTERCEPTION_MODE: "${text}" is not supported: REDIRECT or NONE`);
  }
  return "REDIRECT";
}

interface MetadataParts {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly proxyConfig: Readonly<Record<string, unknown>>;
  readonly identity: WorkloadIdentity;
  readonly podName: string;
  readonly instanceIp: string;
}

const META_PREFIX = "ISTIO_META_";
/** Metadata that is JSON rather than text. */
const META_JSON = new Set(["POD_PORTS"]);

function nodeMetadata(env: EnvironmentInput["env"], parts: MetadataParts): Record<string, unknown> {
  const metadata: Record<string, unknown> = {
    NAME: parts.podName,
    NAMESPACE: parts.identity.namespace,
    SERVICE_ACCOUNT: parts.identity.serviceAccount,
    INSTANCE_IPS: parts.instanceIp,
    LABELS: parts.labels,
    ANNOTATIONS: parts.annotations,
    PROXY_CONFIG: parts.proxyConfig,
  };
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(META_PREFIX) || value === undefined) continue;
    const key = name.slice(META_PREFIX.length);
    const parsed = META_JSON.has(key) ? parseJson(value) : undefined;
    metadata[key] = parsed?.ok === true ? parsed.value : value;
  }
  return metadata;
}

/** The downward API's form: one `key="value"` a line, the value quoted and escaped. */
export function readPodInfo(text: string): Readonly<Record<string, string>> {
  const entries: [string, string][] = [];
  for (const line of text.split("\n")) {
    const equals = line.indexOf("=");
    if (equals <= 0) continue;
    const value = parseJson(line.slice(equals + 1));
    if (value.ok && typeof value.value === "string") entries.push([line.slice(0, equals), value.value]);
  }
  return Object.fromEntries(entries);
}

const STATUS_PORT = "15020";

/** The application's own metrics: what the injector kept of its annotations, or the annotations where they don't name the sidecar. */
function readAppMetrics(
  kept: string | undefined,
  annotations: Readonly<Record<string, string>>,
): AppMetrics | undefined {
  const parsed = kept === undefined ? undefined : parseJson(kept);
  const source =
    parsed?.ok === true && isRecord(parsed.value)
      ? parsed.value
      : {
          scrape: annotations["prometheus.io/scrape"],
          port: annotations["prometheus.io/port"],
          path: annotations["prometheus.io/path"],
        };
  const port = stringAt(source, "port") ?? "";
  if (stringAt(source, "scrape") !== "true" || port === STATUS_PORT || !/^\d+$/.test(port)) return undefined;
  return { port: Number(port), path: stringAt(source, "path") || "/metrics" };
}

function readDrain(proxyConfig: Readonly<Record<string, unknown>>): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(stringAt(proxyConfig, "terminationDrainDuration") ?? "");
  if (match === null) return DRAIN_MS;
  const [, amount = "0", unit = "s"] = match;
  return Math.min(Number(amount) * ({ ms: 1, s: 1_000, m: 60_000 }[unit] ?? 1_000), DRAIN_MAX_MS);
}

/** A sidecar's share of a machine is one thread, unless ProxyConfig says otherwise. */
function readConcurrency(value: unknown): number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 ? value : 1;
}

function stringAt(record: Readonly<Record<string, unknown>>, key: string): string | undefined {
  const value = record[key];
  return typeof value === "string" ? value : undefined;
}
