// Cross-origin requests: preflights are answered here, other responses get the headers that the browser asks for.

import type { Scope } from "../../observe/metrics.ts";
import type { RequestHead, ResponseHead } from "../codec/head.ts";
import type { CorsConfig } from "../compile/cors.ts";
import type { Exchange, Filter } from "./filter.ts";

export function corsFilter(name: string, own: CorsConfig, scope: Scope): Filter {
  const valid = scope.counter("cors.origin_valid");
  const invalid = scope.counter("cors.origin_invalid");
  const configOf = (exchange: Exchange): CorsConfig | undefined => {
    const override = exchange.override(name);
    const config = override?.kind === "cors" ? override : override?.kind === "disabled" ? undefined : own;
    return config === undefined || config.origins.length === 0 ? undefined : config;
  };
  // Requests whose origin is let in: their responses say so.
  const letIn = new WeakMap<Exchange, CorsConfig>();
  return {
    onRequest(exchange) {
      const config = configOf(exchange);
      const origin = exchange.head.headers.get("origin");
      if (config === undefined || origin === undefined) return undefined;
      const enabled = exchange.random() < config.enabledShare;
      if (!enabled && exchange.random() >= config.shadowShare) return undefined;
      const allowed = config.origins.some((matches) => matches(origin));
      if (allowed) valid.value += 1;
      else invalid.value += 1;
      if (!enabled) return undefined;
      const { head } = exchange;
      if (head.method === "OPTIONS" && head.headers.has("access-control-request-method")) {
        if (!allowed && config.forwardNotMatchingPreflights) return undefined;
        const headers = allowed ? preflightHeaders(config, origin, head) : [];
        return { kind: "reply", status: 200, body: "", details: "cors_response", flag: "", headers, cause: "" };
      }
      if (allowed) letIn.set(exchange, config);
      return undefined;
    },
    onResponse(exchange, response) {
      const config = letIn.get(exchange);
      if (config !== undefined) allow(response, config, exchange.head.headers.get("origin") ?? "");
    },
  };
}

function preflightHeaders(config: CorsConfig, origin: string, head: RequestHead): string[] {
  const headers = ["access-control-allow-origin", origin];
  if (config.allowCredentials) headers.push("access-control-allow-credentials", "true");
  if (config.allowMethods !== "") headers.push("access-control-allow-methods", config.allowMethods);
  if (config.allowHeaders !== "") headers.push("access-control-allow-headers", config.allowHeaders);
  if (config.maxAge !== "") headers.push("access-control-max-age", config.maxAge);
  if (config.allowPrivateNetwork && head.headers.get("access-control-request-private-network") === "true")
    headers.push("access-control-allow-private-network", "true");
  return headers;
}

function allow(response: ResponseHead, config: CorsConfig, origin: string): void {
  response.headers.set("access-control-allow-origin", origin);
  if (config.allowCredentials) response.headers.set("access-control-allow-credentials", "true");
  if (config.exposeHeaders !== "") response.headers.set("access-control-expose-headers", config.exposeHeaders);
}
