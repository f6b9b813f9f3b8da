// What the connection manager does to a request's headers before any filter sees them.

import { randomUUID } from "node:crypto";
import { BlockList } from "node:net";
import type { RequestHead } from "../codec/head.ts";
import type { HttpConfig } from "../compile/http.ts";
import type { ConnectionInfo } from "./connection-info.ts";

const PRIVATE = new BlockList();
for (const [net, bits] of [
  ["10.0.0.0", 8],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  ["127.0.0.0", 8],
] as const) {
  PRIVATE.addSubnet(net, bits, "ipv4");
}
PRIVATE.addSubnet("fc00::", 7, "ipv6");
PRIVATE.addAddress("::1", "ipv6");

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

/** Returns the client's address as far as it can be trusted. */
export function prepareRequest(head: RequestHead, config: HttpConfig, info: ConnectionInfo): string {
  removeHopByHop(head);
  const { headers } = head;
  const xff = headers.joined("x-forwarded-for");
  const remoteIp = trustedClient(xff, config, info);
  const internal = config.useRemoteAddress
    ? isPrivate(remoteIp)
    : xff !== undefined && !xff.includes(",") && isPrivate(remoteIp);
  if (!internal && hasEnvoyHeader(headers.raw)) {
    for (const name of INTERNAL) headers.remove(name);
    if (config.useRemoteAddress) for (const name of EDGE) headers.remove(name);
    headers.remove("x-envoy-internal");
  } else if (internal) headers.set("x-envoy-internal", "true");
  if (config.useRemoteAddress && !config.skipXffAppend) {
    if (xff === undefined) headers.add("x-forwarded-for", info.remoteIp);
    else {
      headers.remove("x-forwarded-for");
      headers.add("x-forwarded-for", `${xff},${info.remoteIp}`);
    }
  }
  const proto = info.tls ? "https" : "http";
  const told = headers.get("x-forwarded-proto");
  if (told === undefined || (config.useRemoteAddress && config.trustedHops === 0))
    headers.set("x-forwarded-proto", proto);
  head.scheme = headers.get("x-forwarded-proto") === "https" ? "https" : "http";
  if (config.generateRequestId) {
    const id = headers.get("x-request-id");
    const edge = config.useRemoteAddress && !internal;
    if (id === undefined || id === "" || (edge && !config.preserveExternalRequestId))
      headers.set("x-request-id", randomUUID());
  }
  if (config.via !== "") headers.append("via", config.via);
  forwardClientCert(head, config, info);
  return remoteIp;
}

function trustedClient(xff: string | undefined, config: HttpConfig, info: ConnectionInfo): string {
  const hops = config.useRemoteAddress ? config.trustedHops : config.trustedHops + 1;
  if (xff === undefined || hops === 0) return info.remoteIp;
  const list = xff.split(",");
  return (list[list.length - hops] ?? list[0] ?? info.remoteIp).trim();
}

function isPrivate(ip: string): boolean {
  const family = ip.includes(":") ? "ipv6" : "ipv4";
  return PRIVATE.check(ip, family);
}

function hasEnvoyHeader(raw: readonly string[]): boolean {
  for (let at = 0; at < raw.length; at += 2) if (raw[at]?.startsWith("x-envoy-") === true) return true;
  return false;
}

/** One pass; the upgrade headers stay where the upgrade is allowed. */
function removeHopByHop(head: RequestHead): void {
  const { raw } = head.headers;
  const upgrading = head.upgrade !== undefined && head.upgrade !== "h2c";
  let named: readonly string[] = [];
  let to = 0;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? "";
    const value = raw[at + 1] ?? "";
    switch (name) {
      case "connection":
        if (value.length > 10)
          named = value
            .toLowerCase()
            .split(",")
            .map((one) => one.trim());
        if (upgrading) raw[to++] = name;
        if (upgrading) raw[to++] = "upgrade";
        continue;
      case "host":
      case "keep-alive":
      case "proxy-connection":
      case "transfer-encoding":
      case "expect":
      case "http2-settings":
        continue;
      case "te":
        if (value.toLowerCase() !== "trailers") continue;
        break;
      case "upgrade":
        if (!upgrading) continue;
        break;
    }
    raw[to++] = name;
    raw[to++] = value;
  }
  raw.length = to;
  for (const name of named) if (!KEPT.has(name)) head.headers.remove(name);
}

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
  if (certDetails.subject) parts.push(`Subject="${peer.subject.replaceAll('"', '\\"')}"`);
  if (certDetails.uri) for (const uri of peer.uris) parts.push(`URI=${uri}`);
  if (certDetails.dns) for (const dns of peer.dnsNames) parts.push(`DNS=${dns}`);
  const text = parts.join(";");
  if (config.clientCert === "append-forward") headers.append(name, text);
  else headers.set(name, text);
}
