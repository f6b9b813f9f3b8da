// Pages of Istio's metrics, as a sidecar prints them.

import { Registry } from "../../../src/observe/metrics.ts";
import { writePrometheus } from "../../../src/observe/prometheus.ts";

export interface Call {
  readonly source: string;
  readonly destination: string;
  readonly version: string;
  readonly reporter?: "source" | "destination";
  readonly protocol?: string;
  readonly code?: string;
  readonly flags?: string;
  readonly grpc?: string;
  readonly sourcePrincipal?: string;
  readonly security?: string;
  readonly requests?: number;
  /** Of each request. */
  readonly durationMs?: number;
  readonly sent?: number;
  readonly received?: number;
  readonly opened?: number;
  readonly closed?: number;
}

export function page(calls: readonly Call[]): string {
  const registry = new Registry(1_000_000);
  const scope = registry.scope({ statPrefix: "", namePrefix: "", labels: {} });
  scope.counter("istio_agent_scrapes_total").inc();
  scope.gauge("envoy_server_live").set(1);
  for (const call of calls) {
    const labels = labelsOf(call);
    const { code = "200", flags = "-", grpc = "", protocol = "http", requests = 0, durationMs } = call;
    if (protocol === "tcp") {
      scope.counter("istio_tcp_sent_bytes_total", labels).inc(call.sent ?? 0);
      scope.counter("istio_tcp_received_bytes_total", labels).inc(call.received ?? 0);
      scope.counter("istio_tcp_connections_opened_total", labels).inc(call.opened ?? 0);
      scope.counter("istio_tcp_connections_closed_total", labels).inc(call.closed ?? 0);
      continue;
    }
    const coded = { ...labels, response_code: code, response_flags: flags, grpc_response_status: grpc };
    scope.counter("istio_requests_total", coded).inc(requests);
    if (durationMs === undefined) continue;
    const histogram = scope.histogram("istio_request_duration_milliseconds", coded);
    for (let each = 0; each < requests; each += 1) histogram.observe(durationMs);
  }
  return writePrometheus(registry.series());
}

function labelsOf(call: Call): Readonly<Record<string, string>> {
  const { source, destination, version, reporter = "source", protocol = "http" } = call;
  const { sourcePrincipal = "unknown", security = "unknown" } = call;
  const isUnknown = source === "unknown";
  return {
    reporter,
    source_workload: source,
    source_workload_namespace: isUnknown ? "unknown" : "shop",
    source_principal: sourcePrincipal,
    source_app: source,
    source_version: "unknown",
    source_canonical_service: source,
    source_canonical_revision: "latest",
    destination_workload: destination,
    destination_workload_namespace: "shop",
    destination_principal: sourcePrincipal === "unknown" ? "unknown" : "spiffe://cluster.local/ns/shop/sa/api",
    destination_app: "api",
    destination_version: version,
    destination_service: "api.shop.svc.cluster.local",
    destination_service_name: "api",
    destination_service_namespace: "shop",
    destination_canonical_service: "api",
    destination_canonical_revision: version,
    request_protocol: protocol,
    connection_security_policy: security,
  };
}
