// What the connection manager does to a request's headers before any filter sees them.

import { randomUUID, type X509Certificate } from "node:crypto";
import type { RequestHead } from "../codec/head.ts";
import type { HeaderList } from "../codec/headers.ts";
import type { HttpConfig } from "../compile/http.ts";
import { CHAIN_DEPTH_MAX } from "../limits.ts";
import type { ConnectionInfo } from "./connection-info.ts";
import type { Detected } from "./detect-address.ts";

/** Headers of Envoy's that only an internal caller may send. */
const INTERNAL = [
  "x-envoy-retriable-status-codes",
  "x-envoy-retriable-header-names",
  "x-envoy-retry-on",
  "x-envoy-retry-grpc-on",
  "x-envoy-max-retries",
  "x-envoy-upstream-alt-stat-name",
  "x-envoy-upstream-rq-timeout-ms",
  "x-envoy-upstream-rq-per-try-timeout-ms",
  "x-envoy-upstream-rq-timeout-alt-response",
  "x-envoy-expected-rq-timeout-ms",
  "x-envoy-force-trace",
  "x-envoy-ip-tags",
  "x-envoy-original-url",
  "x-envoy-hedge-on-per-try-timeout",
];
const EDGE = ["x-envoy-decorator-operation", "x-envoy-downstream-service-cluster", "x-envoy-downstream-service-node"];

/** Returns the client's address as far as it can be trusted; `found` is what extensions say of it. */
export function prepareRequest(
  head: RequestHead,
  config: HttpConfig,
  info: ConnectionInfo,
  found: Detected | undefined,
): string {
  removeHopByHop(head, config.proxyContinue);
  const { headers } = head;
  const xff = headers.joined("x-forwarded-for");
  const remoteIp = found?.kind === "found" ? found.ip : trustedClient(xff, config, info);
  const internal = maybeInternal(xff, config, found) && isInternal(remoteIp, config);
  cleanEnvoyHeaders(headers, config, internal);
  if (config.useRemoteAddress && !internal) headers.set("x-envoy-external-address", remoteIp);
  if (config.useRemoteAddress && !config.skipXffAppend) {
    headers.remove("x-forwarded-for");
    headers.add("x-forwarded-for", xff === undefined ? info.remoteIp : `${xff},${info.remoteIp}`);
  }
  setScheme(head, config, info);
  if (config.appendForwardedPort && !headers.has("x-forwarded-port"))
    headers.add("x-forwarded-port", String(info.localPort));
  if (config.generateRequestId)
    setRequestId(headers, config.useRemoteAddress && !internal && !config.preserveExternalRequestId);
  if (config.via !== "") headers.append("via", config.via, ", ");
  if (config.stripTrailingHostDot) head.authority = head.authority.replace(/\.(?=:\d+$|$)/, "");
  forwardClientCert(head, config, info);
  return remoteIp;
}

/** Whether the way that the address was found leaves it believable. */
function maybeInternal(xff: string | undefined, config: HttpConfig, found: Detected | undefined): boolean {
  if (found?.kind === "found") return found.trusted;
  return config.useRemoteAddress || (xff !== undefined && !xff.includes(","));
}

function setScheme(head: RequestHead, config: HttpConfig, info: ConnectionInfo): void {
  const { headers } = head;
  if (config.schemeToOverwrite !== "") headers.set("x-forwarded-proto", config.schemeToOverwrite);
  else {
    const told = headers.get("x-forwarded-proto");
    if (told === undefined || (config.useRemoteAddress && config.trustedHops === 0))
      headers.set("x-forwarded-proto", info.tls ? "https" : "http");
  }
  head.scheme = headers.get("x-forwarded-proto") === "https" ? "https" : "http";
}

function cleanEnvoyHeaders(headers: HeaderList, config: HttpConfig, internal: boolean): void {
  if (internal) {
    headers.set("x-envoy-internal", "true");
    return;
  }
  if (!hasEnvoyHeader(headers.raw)) return;
  for (const name of INTERNAL) headers.remove(name);
  if (config.useRemoteAddress) for (const name of EDGE) headers.remove(name);
  headers.remove("x-envoy-internal");
}

function setRequestId(headers: HeaderList, replace: boolean): void {
  const id = headers.get("x-request-id");
  if (id === undefined || id === "" || replace) headers.set("x-request-id", randomUUID());
}

function trustedClient(xff: string | undefined, config: HttpConfig, info: ConnectionInfo): string {
  const hops = config.useRemoteAddress ? config.trustedHops : config.trustedHops + 1;
  if (xff === undefined || hops === 0) return info.remoteIp;
  const list = xff.split(",");
  return (list[list.length - hops] ?? list[0] ?? info.remoteIp).trim();
}

function isInternal(ip: string, config: HttpConfig): boolean {
  return config.internalRanges.length > 0 && config.internalRanges.some((range) => range.contains(ip));
}

function hasEnvoyHeader(raw: readonly string[]): boolean {
  for (let at = 0; at < raw.length; at += 2) if (raw[at]?.startsWith("x-envoy-") === true) return true;
  return false;
}

/** One pass; the upgrade headers stay where there is an upgrade. */
function removeHopByHop(head: RequestHead, keepExpect: boolean): void {
  const { raw } = head.headers;
  const upgrading = head.upgrade !== undefined && head.upgrade !== "h2c";
  let named = "";
  let to = 0;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? "";
    const value = raw[at + 1] ?? "";
    if (name === "connection") named = named === "" ? value : `${named},${value}`;
    if (!upgrading && (name === "connection" || name === "upgrade")) continue;
    if (isHopByHop(name, value) && !(keepExpect && name === "expect")) continue;
    raw[to++] = name;
    raw[to++] = name === "connection" ? "upgrade" : value;
  }
  raw.length = to;
  removeNamed(head.headers, named);
}

/** What the Connection header names belongs to this hop only. */
export function removeNamed(headers: HeaderList, named: string): void {
  if (named === "" || PLAIN_CONNECTION.has(named)) return;
  for (const one of named.toLowerCase().split(",")) {
    const name = one.trim();
    if (!KEPT.has(name)) headers.remove(name);
  }
}

function isHopByHop(name: string, value: string): boolean {
  if ((HOP_LENGTHS & (1 << name.length)) === 0) return false;
  return HOP.has(name) || (name === "te" && value.toLowerCase() !== "trailers");
}

const HOP = new Set(["host", "keep-alive", "proxy-connection", "transfer-encoding", "expect", "http2-settings"]);
/** A bit for each length of such a name: most names are ruled out by it. */
const HOP_LENGTHS = [...HOP, "te"].reduce((bits, name) => bits | (1 << name.length), 0);
const PLAIN_CONNECTION = new Set(["close", "keep-alive", "Keep-Alive", "Close", "upgrade", "Upgrade"]);

/** Names that a Connection header must not take away from the message. */
const KEPT = new Set([
  "close",
  "keep-alive",
  "upgrade",
  "host",
  "content-length",
  "connection",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-client-cert",
  "te",
  "",
]);

/** The certificate and those above it that its owner sent. */
function chainPem(certificate: X509Certificate): string {
  let text = "";
  let at: X509Certificate | undefined = certificate;
  for (let depth = 0; at !== undefined && depth < CHAIN_DEPTH_MAX; depth += 1) {
    text += at.toString();
    const above: X509Certificate | undefined = at.issuerCertificate;
    at = above === undefined || above.fingerprint256 === at.fingerprint256 ? undefined : above;
  }
  return text;
}

function forwardClientCert(head: RequestHead, config: HttpConfig, info: ConnectionInfo): void {
  const { headers } = head;
  const name = "x-forwarded-client-cert";
  if (config.clientCert === "always-forward-only") return;
  if (info.peer === undefined || config.clientCert === "sanitize") {
    headers.remove(name);
    return;
  }
  if (config.clientCert === "forward-only") return;
  const { peer } = info;
  const { certDetails } = config;
  const parts: string[] = [];
  if (info.localUri !== undefined) parts.push(`By=${info.localUri}`);
  parts.push(`Hash=${peer.fingerprint}`);
  if (certDetails.cert) parts.push(`Cert="${encodeURIComponent(peer.certificate.toString())}"`);
  if (certDetails.chain) parts.push(`Chain="${encodeURIComponent(chainPem(peer.certificate))}"`);
  if (certDetails.subject) parts.push(`Subject="${peer.subject.replaceAll('"', '\\"')}"`);
  // As Envoy writes it: the first of them, and the key even where there is none.
  if (certDetails.uri) parts.push(`URI=${peer.uris[0] ?? ""}`);
  if (certDetails.dns) for (const dns of peer.dnsNames) parts.push(`DNS=${dns}`);
  const text = parts.join(";");
  if (config.clientCert === "append-forward") headers.append(name, text);
  else headers.set(name, text);
}

/** A header name with an underscore, where those are refused; where they are dropped, there is none after this. */
export function oddName(headers: HeaderList, underscores: "reject" | "drop"): string | undefined {
  const odd = headers.raw.filter((name, at) => at % 2 === 0 && name.includes("_"));
  if (underscores === "reject") return odd[0];
  for (const name of odd) headers.remove(name);
  return undefined;
}

export function stripPort(head: RequestHead, which: "matching" | "any", localPort: number): void {
  const match = /^(.*):(\d+)$/.exec(head.authority);
  if (match !== null && (which === "any" || Number(match[2]) === localPort))
    head.authority = match[1] ?? head.authority;
}
