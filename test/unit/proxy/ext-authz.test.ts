// External authorization where the walk table can't look: clients that leave, connections that are shared, what is refused.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, test } from "node:test";
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import { ExtAuthz } from "../../../src/proto/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz.ts";
import { HttpProtocolOptions } from "../../../src/proto/gen/envoy/extensions/upstreams/http/v3/http_protocol_options.ts";
import { CheckRequest, CheckResponse } from "../../../src/proto/gen/envoy/service/auth/v3/external_auth.ts";
import { method } from "../../../src/proto/grpc.ts";
import { compileExtAuthz } from "../../../src/proxy/compile/ext-authz.ts";
import { Field } from "../../../src/proxy/compile/field.ts";
import { any, cluster, httpListener, httpOrigin, raw, routeAll, start, stat } from "./harness.ts";

function filter(json: Record<string, unknown>) {
  return {
    name: "envoy.filters.http.ext_authz",
    typeUrl: "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
    bytes: ExtAuthz.encode(ExtAuthz.fromJSON({ transportApiVersion: "V3", ...json })).finish(),
  };
}

const seconds = (value: number) => ({ seconds: value, nanos: 0 });
const overHttp = { httpService: { serverUri: { uri: "http://authz", cluster: "authz", timeout: seconds(5) } } };
const overGrpc = { grpcService: { envoyGrpc: { clusterName: "authz" }, timeout: seconds(5) } };

function http2Cluster(port: number) {
  const made = cluster("authz", [port]);
  const options = HttpProtocolOptions.fromJSON({ explicitHttpConfig: { http2ProtocolOptions: {} } });
  made.typedExtensionProtocolOptions = {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": any(
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
      HttpProtocolOptions.encode(options).finish(),
    ),
  };
  return made;
}

type Check = (call: ServerUnaryCall<CheckRequest, CheckResponse>, done: sendUnaryData<CheckResponse>) => void;

async function grpcServer(check: Check, port = 0) {
  const server = new Server();
  const definition = method({
    path: "/envoy.service.auth.v3.Authorization/Check",
    kind: "unary",
    request: CheckRequest,
    response: CheckResponse,
  });
  server.addService({ check: definition }, { check });
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, number) =>
      error === null ? resolve(number) : reject(error),
    );
  });
  after(() => server.forceShutdown());
  return { port: bound, stop: () => server.forceShutdown() };
}

const GET = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const allow: Check = (_call, done) => done(null, CheckResponse.fromPartial({}));

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 200 && !holds(); tries += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(holds());
}

test("a client that leaves takes its question along, over HTTP", async () => {
  let asked = 0;
  let cut = 0;
  const authz = await httpOrigin((request) => {
    asked += 1;
    request.on("close", () => {
      cut += 1;
    });
  });
  const { port, registry } = await start({
    listeners: [httpListener({ virtualHosts: [routeAll("authz")], filters: [filter(overHttp)] })],
    clusters: [cluster("authz", [authz])],
  });
  const socket = connect(port, "127.0.0.1");
  socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  await until(() => asked === 1);
  // A client that only ends its side may still wait for the answer.
  socket.resetAndDestroy();
  await until(() => cut === 1);
  assert.equal(stat(registry, "cluster.authz.upstream_rq_active"), 0);
  assert.equal(stat(registry, "http.test.ext_authz.error"), 0);
});

test("a client that leaves takes its question along, over gRPC", async () => {
  let asked = 0;
  let cancelled = 0;
  const authz = await grpcServer((call) => {
    asked += 1;
    call.on("cancelled", () => {
      cancelled += 1;
    });
  });
  const { port, registry } = await start({
    listeners: [httpListener({ virtualHosts: [routeAll("authz")], filters: [filter(overGrpc)] })],
    clusters: [http2Cluster(authz.port)],
  });
  const socket = connect(port, "127.0.0.1");
  socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  await until(() => asked === 1);
  socket.resetAndDestroy();
  await until(() => cancelled === 1);
  assert.equal(stat(registry, "cluster.authz.upstream_rq_active"), 0);
});

test("questions over gRPC share a connection, and a new one is made when it has gone", async () => {
  const origin = await httpOrigin((_request, response) => response.end("ok"));
  const first = await grpcServer(allow);
  const { port, registry } = await start({
    listeners: [httpListener({ virtualHosts: [routeAll("origin")], filters: [filter(overGrpc)] })],
    clusters: [cluster("origin", [origin]), http2Cluster(first.port)],
  });
  const answers = await Promise.all(Array.from({ length: 20 }, () => raw(port, GET)));
  assert.ok(answers.every((answer) => answer.startsWith("HTTP/1.1 200")));
  assert.equal(stat(registry, "cluster.authz.upstream_cx_total"), 1);
  assert.equal(stat(registry, "cluster.authz.upstream_rq_total"), 20);
  first.stop();
  await until(() => stat(registry, "cluster.authz.upstream_cx_active") === 0);
  assert.match(await raw(port, GET), /^HTTP\/1\.1 403/);
  await grpcServer(allow, first.port);
  assert.match(await raw(port, GET), /^HTTP\/1\.1 200/);
  assert.equal(stat(registry, "http.test.ext_authz.error"), 1);
});

test("a request is not routed to a cluster of HTTP/2, and says so", async () => {
  const { port } = await start({
    listeners: [httpListener({ virtualHosts: [routeAll("authz")] })],
    clusters: [http2Cluster(1)],
  });
  assert.match(await raw(port, GET), /^HTTP\/1\.1 503 [\s\S]*x-weft-cause: cluster authz speaks HTTP\/2/);
});

test("a body that comes slowly is waited for, then goes on whole", async () => {
  const bodies: string[] = [];
  const collect =
    (into: string[]) =>
    (request: import("node:http").IncomingMessage, response: import("node:http").ServerResponse) => {
      let body = "";
      request.on("data", (chunk: Buffer) => {
        body += chunk.toString();
      });
      request.on("end", () => {
        into.push(body);
        response.end();
      });
    };
  const asked: string[] = [];
  const [origin, authz] = [await httpOrigin(collect(bodies)), await httpOrigin(collect(asked))];
  const { port } = await start({
    listeners: [
      httpListener({
        virtualHosts: [routeAll("origin")],
        filters: [filter({ ...overHttp, withRequestBody: { maxRequestBytes: 1000 } })],
      }),
    ],
    clusters: [cluster("origin", [origin]), cluster("authz", [authz])],
  });
  const socket = connect(port, "127.0.0.1");
  let answer = "";
  socket.on("data", (bytes) => {
    answer += bytes.toString();
  });
  socket.write("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n");
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.deepEqual(asked, []);
  socket.write("7\r\n second\r\n0\r\n\r\n");
  await until(() => answer.startsWith("HTTP/1.1 200"));
  socket.destroy();
  assert.deepEqual(asked, ["first second"]);
  assert.deepEqual(bodies, ["first second"]);
});

test("what can't be honoured is refused by its path", () => {
  const refusals = (json: Record<string, unknown>) => {
    const field = Field.root("main", "type.googleapis.com/test");
    compileExtAuthz(ExtAuthz.fromJSON({ transportApiVersion: "V3", ...json }), field);
    return field.refusals.map((refusal) => refusal.path);
  };
  assert.deepEqual(refusals(overGrpc), []);
  assert.deepEqual(refusals({}), [""]);
  assert.deepEqual(refusals({ ...overGrpc, transportApiVersion: "V2" }), ["transport_api_version"]);
  assert.deepEqual(refusals({ ...overGrpc, shadowMode: true }), ["shadow_mode"]);
  assert.deepEqual(refusals({ ...overGrpc, withRequestBody: { maxRequestBytes: 0 } }), [
    "with_request_body.max_request_bytes",
  ]);
  assert.deepEqual(refusals({ grpcService: { googleGrpc: { targetUri: "a" } } }), ["grpc_service"]);
  assert.deepEqual(refusals({ httpService: {} }), ["http_service.server_uri"]);
  const retried = { httpService: { ...overHttp.httpService, retryPolicy: { numRetries: 2 } } };
  assert.deepEqual(refusals(retried), ["http_service.retry_policy"]);
});
