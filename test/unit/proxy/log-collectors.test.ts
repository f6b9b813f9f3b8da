// Access logs over gRPC: OpenTelemetry's records and Envoy's own entries, batched, and counted where nobody takes them.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Server, ServerCredentials, type ServerReadableStream, type sendUnaryData } from "@grpc/grpc-js";
import {
  HttpGrpcAccessLogConfig,
  TcpGrpcAccessLogConfig,
} from "../../../src/proto/gen/envoy/extensions/access_loggers/grpc/v3/als.ts";
import { OpenTelemetryAccessLogConfig } from "../../../src/proto/gen/envoy/extensions/access_loggers/open_telemetry/v3/logs_service.ts";
import { TcpProxy } from "../../../src/proto/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts";
import { StreamAccessLogsMessage } from "../../../src/proto/gen/envoy/service/accesslog/v3/als.ts";
import { otlpLogs } from "../../traces/otlp-spans.ts";
import {
  any,
  chain,
  cluster,
  httpListener,
  httpOrigin,
  listener,
  raw,
  routeAll,
  start,
  stat,
  tcpOrigin,
} from "./harness.ts";

const COMMON = {
  logName: "mesh",
  transportApiVersion: "V3",
  bufferFlushInterval: { seconds: 0, nanos: 50_000_000 },
  grpcService: { envoyGrpc: { clusterName: "logs" }, timeout: { seconds: 2, nanos: 0 } },
};
const GET = "GET /items?q=1 HTTP/1.1\r\nhost: api\r\nx-team: blue\r\nx-request-id: one\r\nconnection: close\r\n\r\n";

interface Collected {
  readonly port: number;
  readonly messages: Buffer[];
  until(count: number): Promise<readonly Buffer[]>;
}

const LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const ALS = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";

/** Answers OTLP's call with a message, and Envoy's stream at its end, with nothing but a status. */
async function collector(): Promise<Collected> {
  const messages: Buffer[] = [];
  const server = new Server();
  const same = (bytes: Buffer) => bytes;
  const shape = (path: string, requestStream: boolean) => ({
    path,
    requestStream,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  });
  server.addService(
    { export: shape(LOGS, false), stream: shape(ALS, true) },
    {
      export: ({ request }: { request: Buffer }, done: sendUnaryData<Buffer>) => {
        messages.push(request);
        done(null, Buffer.alloc(0));
      },
      stream: (call: ServerReadableStream<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
        call.on("data", (message: Buffer) => messages.push(message));
        call.on("end", () => done(null, Buffer.alloc(0)));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  after(() => server.forceShutdown());
  return {
    port,
    messages,
    until: async (count) => {
      for (const over = Date.now() + 5_000; messages.length < count; ) {
        assert.ok(Date.now() < over, `${messages.length} messages instead of ${count}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      return messages;
    },
  };
}

function logger(name: string, config: { typeUrl: string; value: Buffer }): Record<string, unknown> {
  return { name, typedConfig: { typeUrl: config.typeUrl, value: config.value.toString("base64") } };
}

const LOGGERS = "envoy.extensions.access_loggers";

async function logged(accessLog: Record<string, unknown>, collectorPort: number) {
  const origin = await httpOrigin((_request, response) => response.writeHead(503, { "x-app": "v1" }).end("no"));
  return start({
    listeners: [httpListener({ virtualHosts: [routeAll("app")], hcm: { accessLog: [accessLog] } })],
    clusters: [cluster("app", [origin]), cluster("logs", [collectorPort])],
  });
}

test("OpenTelemetry gets a record a request: text as body, labels as attributes", async () => {
  const collected = await collector();
  const text = (value: string) => ({ stringValue: value });
  const config = OpenTelemetryAccessLogConfig.fromJSON({
    commonConfig: COMMON,
    body: text("%REQ(:METHOD)% %RESPONSE_CODE%"),
    attributes: { values: [{ key: "team", value: text("%REQ(X-TEAM)%") }] },
    resourceAttributes: { values: [{ key: "region", value: text("here") }] },
  });
  const typed = any(
    `${LOGGERS}.open_telemetry.v3.OpenTelemetryAccessLogConfig`,
    OpenTelemetryAccessLogConfig.encode(config).finish(),
  );
  const proxy = await logged(logger("otel", typed), collected.port);
  const beforeMs = Date.now();
  await Promise.all([raw(proxy.port, GET), raw(proxy.port, GET)]);
  const [message = Buffer.alloc(0)] = await collected.until(1);
  assert.equal(collected.messages.length, 1, "both are in one report");
  const { resource, records } = otlpLogs(message);
  assert.deepEqual([resource["log_name"], resource["region"], resource["node_name"]], ["mesh", "here", ""]);
  assert.equal(records.length, 2);
  for (const { body, attributes, timeMs } of records) {
    assert.equal(body, "GET 503");
    assert.deepEqual(attributes, { team: "blue" });
    assert.ok(timeMs >= beforeMs - 1000 && timeMs <= Date.now());
  }
  for (
    const over = Date.now() + 2_000;
    stat(proxy.registry, "access_logs.open_telemetry_access_log.logs_written") < 2;
  ) {
    assert.ok(Date.now() < over);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
});

test("Envoy's access log service gets requests and connections as its messages", async () => {
  const collected = await collector();
  const http = HttpGrpcAccessLogConfig.fromJSON({
    commonConfig: COMMON,
    additionalRequestHeadersToLog: ["X-Team"],
    additionalResponseHeadersToLog: ["x-app"],
  });
  const typed = any(`${LOGGERS}.grpc.v3.HttpGrpcAccessLogConfig`, HttpGrpcAccessLogConfig.encode(http).finish());
  const proxy = await logged(logger("als", typed), collected.port);
  await raw(proxy.port, GET);
  const [message = Buffer.alloc(0)] = await collected.until(1);
  const { identifier, logEntries } = StreamAccessLogsMessage.decode(message);
  assert.equal(identifier?.logName, "mesh");
  const entry = logEntries?.$case === "httpLogs" ? logEntries.value.logEntry[0] : undefined;
  assert.ok(entry !== undefined);
  const { request, response, commonProperties } = entry;
  assert.deepEqual(
    [request?.requestMethod, request?.authority, request?.path, request?.requestId, request?.requestHeaders],
    [1, "api", "/items?q=1", "one", { "x-team": "blue" }],
  );
  assert.deepEqual(
    [response?.responseCode, response?.responseHeaders, response?.responseCodeDetails],
    [503, { "x-app": "v1" }, "via_upstream"],
  );
  assert.equal(commonProperties?.upstreamCluster, "app");
  assert.equal(commonProperties?.upstreamRequestAttemptCount, 1);

  const echo = await tcpOrigin((socket) => socket.on("data", (bytes) => socket.end(bytes)));
  const tcp = TcpProxy.fromPartial({ statPrefix: "tcp", clusterSpecifier: { $case: "cluster", value: "echo" } });
  const tcpLog = TcpGrpcAccessLogConfig.fromJSON({ commonConfig: COMMON });
  tcp.accessLog = [
    {
      name: "tcp",
      filter: undefined,
      configType: {
        $case: "typedConfig",
        value: any(`${LOGGERS}.grpc.v3.TcpGrpcAccessLogConfig`, TcpGrpcAccessLogConfig.encode(tcpLog).finish()),
      },
    },
  ];
  const typedTcp = any("envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", TcpProxy.encode(tcp).finish());
  const second = await start({
    listeners: [listener([chain({ name: "tcp", typedConfig: typedTcp })])],
    clusters: [cluster("echo", [echo]), cluster("logs", [collected.port])],
  });
  await raw(second.port, "hello");
  const told = StreamAccessLogsMessage.decode((await collected.until(2))[1] ?? Buffer.alloc(0));
  const connection = told.logEntries?.$case === "tcpLogs" ? told.logEntries.value.logEntry[0] : undefined;
  assert.deepEqual(
    [connection?.connectionProperties?.receivedBytes, connection?.connectionProperties?.sentBytes],
    [5, 5],
  );
});

test("where nobody takes entries, requests go on and what is lost is counted", async () => {
  const config = HttpGrpcAccessLogConfig.fromJSON({
    commonConfig: { ...COMMON, grpcService: { envoyGrpc: { clusterName: "nowhere" } } },
  });
  const typed = any(`${LOGGERS}.grpc.v3.HttpGrpcAccessLogConfig`, HttpGrpcAccessLogConfig.encode(config).finish());
  const proxy = await logged(logger("als", typed), 1);
  assert.match(await raw(proxy.port, GET), /^HTTP\/1.1 503/);
  for (const over = Date.now() + 2_000; stat(proxy.registry, "access_logs.grpc_access_log.logs_dropped") !== 1; ) {
    assert.ok(Date.now() < over);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
});
