// OpenTelemetry's protocol, over HTTP and over gRPC, to small real collectors.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { createServer } from "node:tls";
import { type Metadata, Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import { OpenTelemetryConfig } from "../../../src/proto/gen/envoy/config/trace/v3/opentelemetry.ts";
import { UpstreamTlsContext } from "../../../src/proto/gen/envoy/extensions/transport_sockets/tls/v3/tls.ts";
import { HttpProtocolOptions } from "../../../src/proto/gen/envoy/extensions/upstreams/http/v3/http_protocol_options.ts";
import { httpCollector, portOf } from "../../traces/collectors.ts";
import type { SeenSpan } from "../../traces/jaeger-spans.ts";
import { otlpSpans } from "../../traces/otlp-spans.ts";
import { certify } from "../pki.ts";
import { any, httpOrigin, stat } from "./harness.ts";
import { call, hop } from "./traced.ts";

const TRACE = "463ac35c9f6413ad48485a3953bb6124";
const GIVEN = { traceparent: `00-${TRACE}-a2fb4a1d1a96d312-01`, tracestate: "vendor=1" };
const OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

function provider(config: Record<string, unknown>): { typeUrl: string; value: Buffer } {
  const message = OpenTelemetryConfig.fromJSON({ serviceName: "api.production", ...config });
  return any("envoy.config.trace.v3.OpenTelemetryConfig", OpenTelemetryConfig.encode(message).finish());
}

function assertSpan(span: SeenSpan | undefined): void {
  assert.equal(span?.service, "api.production");
  assert.equal(span?.traceId, TRACE);
  assert.equal(span?.parentId, "a2fb4a1d1a96d312");
  assert.equal(span?.kind, "server");
  assert.equal(span?.name, "ingress");
  assert.equal(span?.tags["http.status_code"], "503");
  assert.equal(span?.tags["status"], "2", "a failure is the span's status");
  assert.equal(span?.tags["traceState"], "vendor=1");
  assert.ok(Math.abs((span?.startUs ?? 0) / 1000 - Date.now()) < 10_000);
}

test("OTLP over HTTP", async () => {
  const spans: SeenSpan[] = [];
  const collectorPort = await httpCollector("/v1/traces", (body) => spans.push(...otlpSpans(body)));
  const app = await httpOrigin((_request, response) => response.writeHead(503).end());
  const httpService = {
    httpUri: { uri: "http://collector/v1/traces", cluster: "traces", timeout: { seconds: 2 } },
    requestHeadersToAdd: [{ header: { key: "X-Key", value: "secret" } }],
  };
  const about = { collectorPort, upstreamPort: app, direction: "INBOUND", seed: 1 } as const;
  const proxy = await hop({ ...about, provider: provider({ httpService }) });
  await call(proxy.port, GIVEN);
  await proxy.proxy.drain();
  assert.equal(spans.length, 1);
  assertSpan(spans[0]);
  assert.equal(stat(proxy.registry, "tracing.opentelemetry.spans_sent"), 1);
});

test("OTLP over gRPC", async () => {
  const spans: SeenSpan[] = [];
  const keys: unknown[] = [];
  const collectorPort = await grpcCollector((bytes, metadata) => {
    spans.push(...otlpSpans(bytes));
    keys.push(...metadata.get("x-key"));
  });
  const app = await httpOrigin((_request, response) => response.writeHead(503).end());
  const grpcService = {
    envoyGrpc: { clusterName: "traces" },
    timeout: { seconds: 2 },
    initialMetadata: [{ key: "x-key", value: "secret" }],
  };
  const options = HttpProtocolOptions.fromJSON({ explicitHttpConfig: { http2ProtocolOptions: {} } });
  const encoded = any(OPTIONS, HttpProtocolOptions.encode(options).finish());
  const proxy = await hop({
    collectorPort,
    upstreamPort: app,
    direction: "INBOUND",
    seed: 1,
    provider: provider({ grpcService }),
    collector: {
      typedExtensionProtocolOptions: {
        [OPTIONS]: { typeUrl: encoded.typeUrl, value: encoded.value.toString("base64") },
      },
    },
  });
  await call(proxy.port, GIVEN);
  await proxy.proxy.drain();
  assert.equal(spans.length, 1);
  assertSpan(spans[0]);
  assert.deepEqual(keys, ["secret"]);
  assert.equal(stat(proxy.registry, "tracing.opentelemetry.spans_sent"), 1);
});

async function grpcCollector(take: (bytes: Buffer, metadata: Metadata) => void): Promise<number> {
  const server = new Server();
  const asIs = (bytes: Buffer) => bytes;
  const definition = {
    path: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    requestStream: false,
    responseStream: false,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  };
  const answer = (given: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
    take(given.request, given.metadata);
    done(null, Buffer.alloc(0));
  };
  server.addService({ export: definition }, { export: answer });
  after(() => server.forceShutdown());
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
  });
}

test("a collector behind the mesh's TLS is offered the context's protocols, by which its sidecar knows them", async () => {
  const own = await certify({ subject: "CN=collector" });
  const offered: (string | false | null)[] = [];
  const sidecar = createServer({ cert: own.pem, key: own.keyPem, ALPNProtocols: ["istio", "h2"] }, (socket) => {
    offered.push(socket.alpnProtocol);
    socket.on("error", () => undefined);
    socket.destroy();
  });
  after(() => sidecar.close());
  await new Promise<void>((resolve) => sidecar.listen(0, "127.0.0.1", resolve));
  const context = UpstreamTlsContext.fromJSON({ commonTlsContext: { alpnProtocols: ["istio"] } });
  const typeUrl = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
  const value = Buffer.from(UpstreamTlsContext.encode(context).finish()).toString("base64");
  const app = await httpOrigin((_request, response) => response.end());
  const proxy = await hop({
    collectorPort: portOf(sidecar.address()),
    upstreamPort: app,
    direction: "INBOUND",
    seed: 1,
    provider: provider({ grpcService: { envoyGrpc: { clusterName: "traces" }, timeout: { seconds: 1 } } }),
    collector: { transportSocket: { name: "tls", typedConfig: { typeUrl, value } } },
  });
  await call(proxy.port, GIVEN);
  await proxy.proxy.drain();
  assert.deepEqual(offered, ["istio"]);
});
