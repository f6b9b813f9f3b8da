// Counters of one stat prefix of HTTP connection managers.

import type { Counter, Registry } from "../../observe/metrics.ts";

export class HttpStats {
  readonly scope;
  readonly cxTotal;
  readonly cxActive;
  readonly cxDestroyRemote;
  readonly cxDestroy;
  readonly cxHttp1Total;
  readonly cxHttp1Active;
  readonly cxLength;
  readonly cxIdleTimeout;
  readonly cxDrainClose;
  readonly cxMaxRequests;
  readonly cxMaxDuration;
  readonly cxProtocolError;
  readonly rqTotal;
  readonly rqActive;
  readonly rqTime;
  readonly rqCompleted;
  readonly rqTimeout;
  readonly rqIdleTimeout;
  readonly rqMaxDuration;
  readonly rqHeaderTimeout;
  readonly rqRxReset;
  readonly rqOverloadClose;
  readonly cxOverloadClose;
  readonly noRoute;
  readonly noCluster;
  readonly rxBytes;
  readonly txBytes;
  readonly localReplies: Counter;
  readonly #classes: readonly Counter[];

  constructor(registry: Registry, prefix: string) {
    const labels = { envoy_http_conn_manager_prefix: prefix };
    const scope = registry.scope({ statPrefix: `http.${prefix}.`, namePrefix: "envoy_http_", labels });
    this.scope = scope;
    this.cxTotal = scope.counter("downstream_cx_total");
    this.cxActive = scope.gauge("downstream_cx_active");
    this.cxDestroyRemote = scope.counter("downstream_cx_destroy_remote_active_rq");
    this.cxDestroy = scope.counter("downstream_cx_destroy");
    this.cxHttp1Total = scope.counter("downstream_cx_http1_total");
    this.cxHttp1Active = scope.gauge("downstream_cx_http1_active");
    this.cxLength = scope.histogram("downstream_cx_length_ms");
    this.cxIdleTimeout = scope.counter("downstream_cx_idle_timeout");
    this.cxDrainClose = scope.counter("downstream_cx_drain_close");
    this.cxMaxRequests = scope.counter("downstream_cx_max_requests_reached");
    this.cxMaxDuration = scope.counter("downstream_cx_max_duration_reached");
    this.cxProtocolError = scope.counter("downstream_cx_protocol_error");
    this.rqTotal = scope.counter("downstream_rq_total");
    this.rqActive = scope.gauge("downstream_rq_active");
    this.rqTime = scope.histogram("downstream_rq_time");
    this.rqCompleted = scope.counter("downstream_rq_completed");
    this.rqTimeout = scope.counter("downstream_rq_timeout");
    this.rqIdleTimeout = scope.counter("downstream_rq_idle_timeout");
    this.rqHeaderTimeout = scope.counter("downstream_rq_header_timeout");
    this.rqMaxDuration = scope.counter("downstream_rq_max_duration_reached");
    this.rqRxReset = scope.counter("downstream_rq_rx_reset");
    this.rqOverloadClose = scope.counter("downstream_rq_overload_close");
    this.cxOverloadClose = scope.counter("downstream_cx_overload_disable_keepalive");
    this.noRoute = scope.counter("no_route");
    this.noCluster = scope.counter("no_cluster");
    this.rxBytes = scope.counter("downstream_cx_rx_bytes_total");
    this.txBytes = scope.counter("downstream_cx_tx_bytes_total");
    this.localReplies = scope.counter("weft_local_replies");
    this.#classes = [1, 2, 3, 4, 5].map((digit) =>
      registry
        .scope({
          statPrefix: `http.${prefix}.downstream_rq_${digit}xx`,
          namePrefix: "envoy_http_downstream_rq_xx",
          labels: { ...labels, envoy_response_code_class: String(digit) },
        })
        .counter(""),
    );
  }

  response(status: number): void {
    this.rqCompleted.value += 1;
    const group = this.#classes[Math.floor(status / 100) - 1];
    if (group !== undefined) group.value += 1;
  }
}
