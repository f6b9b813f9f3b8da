// Istio's standard metrics of what Envoy reports: each entry of its access log is counted, and then forgotten.

import { isRecord, parseJson } from "../base/json.ts";
import { formatSpiffeId } from "../identity/spiffe.ts";
import {
  ISTIO_BYTES,
  NOBODY,
  UNKNOWN,
  type Workload,
  workloadLabels,
  workloadOfEndpoint,
  workloadOfMetadata,
  workloadOfPrincipal,
} from "../observe/istio-metrics.ts";
import type { Labels, Registry, Scope } from "../observe/metrics.ts";
import {
  type AccessLogCommon,
  AccessLogType,
  type HTTPAccessLogEntry,
  type TCPAccessLogEntry,
  type TLSProperties_CertificateProperties,
} from "../proto/gen/envoy/data/accesslog/v3/accesslog.ts";
import type { Duration } from "../proto/gen/google/protobuf/duration.ts";
import type { SidecarConfig } from "./environment.ts";
import { PEERS_MAX, TCP_STREAMS_MAX } from "./limits.ts";
import { readPeer } from "./peer.ts";

export type Reporter = "source" | "destination";

/** What has been told of a connection that is still open. */
interface Told {
  readonly sent: number;
  readonly received: number;
}

export class Reports {
  readonly #scope: Scope;
  readonly #self: Workload;
  readonly #principal: string;
  /** By the text that told it: the same few peers come again and again. */
  readonly #peers = new Map<string, Workload | undefined>();
  readonly #open = new Map<string, Told>();

  constructor({ identity, nodeMetadata }: Pick<SidecarConfig, "identity" | "nodeMetadata">, registry: Registry) {
    this.#scope = registry.scope({ statPrefix: "", namePrefix: "", labels: {} });
    this.#principal = formatSpiffeId(identity);
    this.#self = workloadOfMetadata(nodeMetadata) ?? workloadOfPrincipal(this.#principal);
  }

  http(reporter: Reporter, { commonProperties: common, request, response }: HTTPAccessLogEntry): void {
    if (common === undefined) return;
    const isGrpc = tag(common, "content_type").startsWith("application/grpc");
    const labels = {
      ...this.#labels(reporter, common),
      request_protocol: isGrpc ? "grpc" : "http",
      response_code: String(response?.responseCode ?? 0),
      grpc_response_status: isGrpc ? tag(common, "grpc_status") : "",
    };
    const durationMs = milliseconds(common.duration ?? common.timeToLastDownstreamTxByte);
    this.#scope.counter("istio_requests_total", labels).inc();
    this.#scope.histogram("istio_request_duration_milliseconds", labels).observe(durationMs);
    const { requestBodyBytes = 0 } = request ?? {};
    const { responseBodyBytes = 0 } = response ?? {};
    this.#scope.histogram("istio_request_bytes", labels, ISTIO_BYTES).observe(requestBodyBytes);
    this.#scope.histogram("istio_response_bytes", labels, ISTIO_BYTES).observe(responseBodyBytes);
  }

  /** Told when it is connected, now and then, and at its end: each time with all bytes so far. */
  tcp(reporter: Reporter, { commonProperties: common, connectionProperties: bytes }: TCPAccessLogEntry): void {
    if (common === undefined) return;
    const { streamId, accessLogType } = common;
    const key = `${reporter} ${streamId}`;
    const before = this.#open.get(key);
    const closed = accessLogType === AccessLogType.TcpConnectionEnd || accessLogType === AccessLogType.NotSet;
    const { sentBytes: sent = 0, receivedBytes: received = 0 } = bytes ?? {};
    if (closed) this.#open.delete(key);
    else if (before !== undefined || this.#open.size < TCP_STREAMS_MAX) this.#open.set(key, { sent, received });
    // Beyond the bound a connection is told as a whole at its end.
    else return;
    const labels = { ...this.#labels(reporter, common), request_protocol: "tcp" };
    if (before === undefined) this.#scope.counter("istio_tcp_connections_opened_total", labels).inc();
    if (closed) this.#scope.counter("istio_tcp_connections_closed_total", labels).inc();
    this.#scope.counter("istio_tcp_sent_bytes_total", labels).inc(sent - (before?.sent ?? 0));
    this.#scope.counter("istio_tcp_received_bytes_total", labels).inc(received - (before?.received ?? 0));
  }

  #labels(reporter: Reporter, common: AccessLogCommon): Labels {
    const parties = reporter === "source" ? this.#asSource(common) : this.#asDestination(common);
    return { reporter, ...parties, ...serviceLabels(common), response_flags: tag(common, "response_flags") || "-" };
  }

  #asSource(common: AccessLogCommon): Labels {
    const principal = tag(common, "upstream_principal");
    const destination =
      this.#told(common, principal) ??
      this.#kept(tag(common, "workload"), workloadOfEndpoint) ??
      workloadOfPrincipal(principal);
    return {
      ...workloadLabels("source", this.#self, principal === "" ? undefined : this.#principal),
      ...workloadLabels("destination", destination, principal || undefined),
      // Only the server knows what the connection was that reached it.
      connection_security_policy: UNKNOWN,
    };
  }

  #asDestination(common: AccessLogCommon): Labels {
    const { peerCertificateProperties: peer, localCertificateProperties: local } = common.tlsProperties ?? {};
    const principal = uriOf(peer);
    const isMutual = principal !== undefined;
    return {
      ...workloadLabels("source", this.#told(common, principal ?? "") ?? workloadOfPrincipal(principal), principal),
      ...workloadLabels("destination", this.#self, isMutual ? uriOf(local) : undefined),
      connection_security_policy: isMutual ? "mutual_tls" : "none",
    };
  }

  /** What the peer said of itself in a header, which a filter has put beside; its certificate must not gainsay it. */
  #told({ metadata }: AccessLogCommon, principal: string): Workload | undefined {
    const header = metadata?.filterMetadata["weft.dev"]?.["peer"];
    const peer = typeof header === "string" ? this.#kept(header, readPeer) : undefined;
    const { namespace } = workloadOfPrincipal(principal);
    return namespace === NOBODY.namespace || namespace === peer?.namespace ? peer : undefined;
  }

  #kept(text: string, read: (text: string) => Workload | undefined): Workload | undefined {
    if (text === "") return undefined;
    if (this.#peers.has(text)) return this.#peers.get(text);
    const peer = read(text);
    if (this.#peers.size < PEERS_MAX) this.#peers.set(text, peer);
    return peer;
  }
}

/** By the cluster's metadata; one that stands for no service is told by its own name. */
function serviceLabels(common: AccessLogCommon): Labels {
  const parsed = parseJson(tag(common, "services"));
  const first: unknown = parsed.ok && Array.isArray(parsed.value) ? parsed.value[0] : undefined;
  const service = isRecord(first) ? first : {};
  const text = (value: unknown, otherwise: string) => (typeof value === "string" && value !== "" ? value : otherwise);
  const otherwise = common.upstreamCluster || UNKNOWN;
  return {
    destination_service: text(service["host"], otherwise),
    destination_service_name: text(service["name"], otherwise),
    destination_service_namespace: text(service["namespace"], UNKNOWN),
  };
}

function tag({ customTags }: AccessLogCommon, name: string): string {
  const value = customTags[name] ?? "";
  return value === "-" ? "" : value;
}

function uriOf(properties: TLSProperties_CertificateProperties | undefined): string | undefined {
  const found = properties?.subjectAltName.find(({ san }) => san?.$case === "uri");
  return found?.san?.value || undefined;
}

function milliseconds(duration: Duration | undefined): number {
  return duration === undefined ? 0 : duration.seconds * 1_000 + duration.nanos / 1e6;
}
