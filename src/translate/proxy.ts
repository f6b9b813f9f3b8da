// The proxy that configuration is made for, from the node that it says it is.

import { isRecord, parseJson } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { TracingDefaults } from "../model/telemetry.ts";
import type { Node } from "../proto/gen/envoy/config/core/v3/base.ts";

export interface ProxyNode {
  readonly id: string;
  /** `router`: a gateway, which serves the mesh's edge and no application. */
  readonly type: "sidecar" | "router";
  /** Whoever opened the stream has shown to be of this namespace. */
  readonly verified: boolean;
  readonly address: string;
  readonly pod: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly labels: Readonly<Record<string, string>>;
  /** `region/zone/subzone` by its bootstrap, for a proxy that no node tells the place of. */
  readonly locality: string;
  /** REDIRECT: connections are captured; NONE: the application names the proxy itself. */
  readonly mode: "REDIRECT" | "NONE";
  /** Its application's DNS questions come to it. */
  readonly dnsCapture: boolean;
  /** What runs the configuration: Envoy where the node doesn't say that it is weft's own proxy. */
  readonly engine: "weft" | "envoy";
  /** Envoy with weft's agent beside it, which makes Istio's metrics of its access log and hands its spans on. */
  readonly agent?: true;
  /** Not a proxy but the agent beside one, which asks for names only. */
  readonly names?: true;
  readonly topology: GatewayTopology;
  /** By the proxy's own ProxyConfig, which holds before the mesh's. */
  readonly tracing?: TracingDefaults;
  /** Whether it takes the virtual hosts of a large route configuration one by one, over a stream of differences. */
  readonly virtualHosts: "inline" | "apart";
}

/** What stands in front of a gateway. */
export interface GatewayTopology {
  readonly numTrustedProxies: number;
  readonly forwardClientCertDetails: string | undefined;
}

/** `sidecar~INSTANCE_IP~POD.NAMESPACE~NAMESPACE.svc.cluster.local`, or `router~…`, and what its metadata adds. */
export function readNode(node: Node): Result<ProxyNode, string> {
  const [type, address = "", podId = "", domain] = node.id.split("~");
  if ((type !== "sidecar" && type !== "router") || domain === undefined) {
    return err(`node id "${node.id}" is not sidecar~IP~POD.NAMESPACE~NAMESPACE.svc.DOMAIN, nor router~…`);
  }
  const dot = podId.lastIndexOf(".");
  if (dot <= 0) return err(`node id "${node.id}" names no pod: expected POD.NAMESPACE as its third part`);
  const metadata: Readonly<Record<string, unknown>> = node.metadata ?? {};
  const namespace = podId.slice(dot + 1);
  const claimed = metadata["NAMESPACE"];
  if (typeof claimed === "string" && claimed !== namespace) {
    return err(`node id "${node.id}" and metadata NAMESPACE "${claimed}" contradict each other`);
  }
  return ok({
    id: node.id,
    type,
    verified: false,
    address,
    pod: podId.slice(0, dot),
    namespace,
    serviceAccount: typeof metadata["SERVICE_ACCOUNT"] === "string" ? metadata["SERVICE_ACCOUNT"] : "default",
    labels: textMap(metadata["LABELS"]),
    locality: localityText(node.locality),
    mode: metadata["INTERCEPTION_MODE"] === "NONE" ? "NONE" : "REDIRECT",
    dnsCapture: metadata["DNS_CAPTURE"] === "true" || metadata["DNS_CAPTURE"] === true,
    engine: node.userAgentName === "weft" ? "weft" : "envoy",
    ...(metadata["WEFT_AGENT"] === "true" ? { agent: true } : {}),
    ...(metadata["WEFT_STREAM"] === "names" ? { names: true } : {}),
    topology: topologyOf(proxyConfigPart(metadata["PROXY_CONFIG"], "gatewayTopology")),
    tracing: tracingOf(proxyConfigPart(metadata["PROXY_CONFIG"], "tracing")),
    virtualHosts: takesHostsApart(node) ? "apart" : "inline",
  });
}

function localityText(locality: Node["locality"]): string {
  const { region = "", zone = "", subZone = "" } = locality ?? {};
  return [region, zone, subZone].join("/").replace(/\/+$/, "");
}

function proxyConfigPart(proxyConfig: unknown, name: string): Readonly<Record<string, unknown>> {
  const parsed = typeof proxyConfig === "string" ? parseJson(proxyConfig) : ok(proxyConfig);
  const part = parsed.ok && isRecord(parsed.value) ? parsed.value[name] : undefined;
  return isRecord(part) ? part : {};
}

function topologyOf({
  numTrustedProxies,
  forwardClientCertDetails,
}: Readonly<Record<string, unknown>>): GatewayTopology {
  return {
    numTrustedProxies: typeof numTrustedProxies === "number" ? numTrustedProxies : 0,
    forwardClientCertDetails: typeof forwardClientCertDetails === "string" ? forwardClientCertDetails : undefined,
  };
}

function tracingOf({ sampling, maxPathTagLength }: Readonly<Record<string, unknown>>): TracingDefaults {
  return {
    ...(typeof sampling === "number" && sampling >= 0 && sampling <= 100 ? { sampling } : {}),
    ...(typeof maxPathTagLength === "number" && maxPathTagLength > 0 ? { maxPathTagLength } : {}),
  };
}

/** VHDS over the aggregated stream: Envoy since the version below; who says nothing gets what everybody understands. */
function takesHostsApart({ userAgentName, userAgentVersionType }: Node): boolean {
  if (userAgentName !== "envoy" || userAgentVersionType?.$case !== "userAgentBuildVersion") return false;
  const { majorNumber = 0, minorNumber = 0 } = userAgentVersionType.value.version ?? {};
  return majorNumber > VHDS_SINCE.major || (majorNumber === VHDS_SINCE.major && minorNumber >= VHDS_SINCE.minor);
}

const VHDS_SINCE = { major: 1, minor: 40 };

/** A struct, or the JSON of one. */
function textMap(value: unknown): Readonly<Record<string, string>> {
  const parsed = typeof value === "string" ? parseJson(value) : ok(value);
  if (!parsed.ok || !isRecord(parsed.value)) return {};
  return Object.fromEntries(
    Object.entries(parsed.value).flatMap(([key, text]) => (typeof text === "string" ? [[key, text]] : [])),
  );
}
