// Fault injection: a share of the requests waits, a share is answered with an error.

import type { Scope } from "../../observe/metrics.ts";
import type { FaultConfig } from "../compile/fault.ts";
import type { Exchange, Filter, Verdict } from "./filter.ts";

export function faultFilter(name: string, own: FaultConfig, scope: Scope): Filter {
  const stats = {
    delays: scope.counter("fault.delays_injected"),
    aborts: scope.counter("fault.aborts_injected"),
    overflow: scope.counter("fault.faults_overflow"),
    active: scope.gauge("fault.active_faults"),
  };
  const take = (exchange: Exchange, config: FaultConfig): boolean => {
    if (stats.active.value >= config.activeMax) {
      stats.overflow.value += 1;
      return false;
    }
    stats.active.value += 1;
    exchange.onDone(() => stats.active.add(-1));
    return true;
  };
  const abort = (exchange: Exchange, config: FaultConfig): Verdict => {
    const grpcStatus = abortGrpcStatus(exchange, config);
    const status = abortStatus(exchange, config) || (grpcStatus === undefined ? 0 : 200);
    if (status === 0 || exchange.random() >= abortShare(exchange, config) || !take(exchange, config)) return undefined;
    stats.aborts.value += 1;
    const answer = grpcStatus !== undefined && isGrpc(exchange) ? grpcAnswer(grpcStatus, config) : textAnswer(config);
    return { kind: "reply", status, ...answer, details: "fault_filter_abort", flag: "FI", cause: "fault injection" };
  };
  return {
    onRequest(exchange) {
      const override = exchange.override(name);
      if (override?.kind === "disabled") return undefined;
      const config = override?.kind === "fault" ? override : own;
      if (config.delayShare === 0 && config.abortShare === 0) return undefined;
      if (config.upstreamCluster !== "" && config.upstreamCluster !== exchange.routeCluster) return undefined;
      if (config.downstreamNodes.size > 0 && !config.downstreamNodes.has(callingNode(exchange))) return undefined;
      if (!config.headers.every((matches) => matches(exchange.head))) return undefined;
      const delayMs = config.delayByHeader ? headerNumber(exchange, "x-envoy-fault-delay-request") : config.delayMs;
      if (delayMs === 0 || exchange.random() >= delayShare(exchange, config) || !take(exchange, config))
        return abort(exchange, config);
      stats.delays.value += 1;
      exchange.addFlag("DI");
      return { kind: "delay", ms: delayMs, after: () => abort(exchange, config) };
    },
    onResponse() {
      // Faults are injected on the way in.
    },
  };
}

function callingNode(exchange: Exchange): string {
  return exchange.head.headers.get("x-envoy-downstream-service-node") ?? "";
}

/** A request may ask for a smaller share than the configuration's, never for a larger one. */
function delayShare(exchange: Exchange, config: FaultConfig): number {
  if (!config.delayByHeader) return config.delayShare;
  const asked = headerShare(exchange, "x-envoy-fault-delay-request-percentage", config.delayDenominator);
  return Math.min(config.delayShare, asked);
}

function abortShare(exchange: Exchange, config: FaultConfig): number {
  if (!config.abortByHeader) return config.abortShare;
  const asked = headerShare(exchange, "x-envoy-fault-abort-request-percentage", config.abortDenominator);
  return Math.min(config.abortShare, asked);
}

function headerShare(exchange: Exchange, name: string, parts: number): number {
  return exchange.head.headers.has(name) ? headerNumber(exchange, name) / parts : 1;
}

function isGrpc({ head }: Exchange): boolean {
  return /^application\/grpc(?:[+;]|$)/.test(head.headers.get("content-type") ?? "");
}

function textAnswer(config: FaultConfig) {
  return { body: config.abortBody, headers: ["content-type", "text/plain"] };
}

/** A response without a body, whose trailers stand among its headers. */
function grpcAnswer(status: number, config: FaultConfig) {
  const headers = ["content-type", "application/grpc", "grpc-status", String(status), "grpc-message", config.abortBody];
  return { body: "", headers };
}

function abortGrpcStatus(exchange: Exchange, config: FaultConfig): number | undefined {
  if (!config.abortByHeader) return config.abortGrpcStatus;
  const asked = "x-envoy-fault-abort-grpc-request";
  const plain = exchange.head.headers.has("x-envoy-fault-abort-request");
  return !plain && exchange.head.headers.has(asked) ? headerNumber(exchange, asked) : undefined;
}

function abortStatus(exchange: Exchange, config: FaultConfig): number {
  if (!config.abortByHeader) return config.abortStatus;
  const status = headerNumber(exchange, "x-envoy-fault-abort-request");
  return status >= 200 && status <= 599 ? status : 0;
}

function headerNumber(exchange: Exchange, name: string): number {
  const text = exchange.head.headers.get(name);
  return text !== undefined && /^\d{1,7}$/.test(text) ? Number(text) : 0;
}
