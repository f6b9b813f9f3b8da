// Proxies that trace, in front of small applications.

import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { seededRandom } from "../../../src/base/random.ts";
import { ZipkinConfig } from "../../../src/proto/gen/envoy/config/trace/v3/zipkin.ts";
import { JaegerAgentConfig } from "../../../src/proto/gen/weft/trace.ts";
import { any, cluster, httpListener, httpOrigin, routeAll, start } from "./harness.ts";

type Json = Record<string, unknown>;

export function zipkin(more: Json = {}): { typeUrl: string; value: Buffer } {
  const config = ZipkinConfig.fromJSON({
    collectorCluster: "traces",
    collectorEndpoint: "/api/v2/spans",
    collectorEndpointVersion: "HTTP_JSON",
    traceId128bit: true,
    sharedSpanContext: false,
    ...more,
  });
  return any("envoy.config.trace.v3.ZipkinConfig", ZipkinConfig.encode(config).finish());
}

export function jaeger(): { typeUrl: string; value: Buffer } {
  const config = JaegerAgentConfig.fromPartial({ agentCluster: "traces", serviceName: "api.production" });
  return any("weft.trace.v1.JaegerAgentConfig", JaegerAgentConfig.encode(config).finish());
}

interface Hop {
  readonly provider?: { typeUrl: string; value: Buffer };
  readonly collectorPort: number;
  readonly upstreamPort: number;
  readonly direction: "INBOUND" | "OUTBOUND";
  readonly tracing?: Json;
  readonly route?: Json;
  readonly operation?: string;
  /** Of the collector's cluster. */
  readonly collector?: Json;
  readonly seed: number;
}

export async function hop(about: Hop): Promise<Awaited<ReturnType<typeof start>>> {
  const { provider = zipkin(), operation } = about;
  const host = routeAll("app", about.route);
  const tracing = {
    provider: { name: "tracer", typedConfig: { typeUrl: provider.typeUrl, value: provider.value.toString("base64") } },
    ...about.tracing,
  };
  const decorated = operation === undefined ? host : withDecorator(host, operation);
  const listener = httpListener({ virtualHosts: [decorated], hcm: { tracing } }, { trafficDirection: about.direction });
  return start(
    {
      listeners: [listener],
      clusters: [cluster("app", [about.upstreamPort]), cluster("traces", [about.collectorPort], about.collector)],
    },
    { random: seededRandom(about.seed) },
  );
}

function withDecorator(host: Json, operation: string): Json {
  return { ...host, routes: [{ match: { prefix: "/" }, route: { cluster: "app" }, decorator: { operation } }] };
}

interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export function call(port: number, headers: Record<string, string> = {}, path = "/"): Promise<Got> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: "127.0.0.1", port, path, headers, agent: false }, (response) => {
      let body = "";
      response.on("data", (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    request.on("error", reject);
    request.end();
  });
}

const FORWARDED = /^(x-request-id|x-b3-.*|b3|traceparent|tracestate|baggage|uber-trace-id|x-cloud-trace-context)$/;

/** What an application without any tracing of its own is asked to do: give the headers on. */
export function forwarded(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (FORWARDED.test(name) ? [[name, String(value)]] : [])),
  );
}

export function echo(): Promise<{ port: number; seen: IncomingHttpHeaders[] }> {
  const seen: IncomingHttpHeaders[] = [];
  return httpOrigin((request, response) => {
    seen.push(request.headers);
    response.end("ok");
  }).then((port) => ({ port, seen }));
}
