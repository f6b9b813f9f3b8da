// The agent's side of Envoy: its gRPC socket with a real client on it, its spans, what it makes of reports.

import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { Client, credentials } from "@grpc/grpc-js";
import { addAccessLogService } from "../../../src/agent/access-log-service.ts";
import { readEnvironment, type SidecarConfig } from "../../../src/agent/environment.ts";
import { envoyBootstrap } from "../../../src/agent/envoy-bootstrap.ts";
import { agentSockets, serveGrpc } from "../../../src/agent/envoy-services.ts";
import { readPeer, writePeer } from "../../../src/agent/peer.ts";
import { Reports } from "../../../src/agent/reports.ts";
import { addSecretService } from "../../../src/agent/secret-service.ts";
import { LocalSecrets } from "../../../src/agent/secrets.ts";
import { type AgentHost, receiveSpans } from "../../../src/agent/span-receiver.ts";
import { isRecord } from "../../../src/base/json.ts";
import { LogRoot } from "../../../src/observe/log.ts";
import { Registry } from "../../../src/observe/metrics.ts";
import { writePrometheus } from "../../../src/observe/prometheus.ts";
import {
  AccessLogType,
  HTTPAccessLogEntry,
  TCPAccessLogEntry,
} from "../../../src/proto/gen/envoy/data/accesslog/v3/accesslog.ts";
import { Secret } from "../../../src/proto/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts";
import {
  StreamAccessLogsMessage,
  StreamAccessLogsResponse,
} from "../../../src/proto/gen/envoy/service/accesslog/v3/als.ts";
import { DiscoveryRequest, DiscoveryResponse } from "../../../src/proto/gen/envoy/service/discovery/v3/discovery.ts";
import { method } from "../../../src/proto/grpc.ts";
import { jaegerSpans } from "../../traces/jaeger-spans.ts";

const log = new LogRoot({ level: "off", format: "plain", write: () => undefined, wallMs: () => 0 }).logger("agent");
const API_URI = "spiffe://cluster.local/ns/production/sa/api";
const CALLER_URI = "spiffe://cluster.local/ns/shop/sa/frontend";

function config(name: string, namespace = "production"): SidecarConfig {
  const read = readEnvironment({
    env: {
      POD_NAME: `${name}-1`,
      POD_NAMESPACE: namespace,
      INSTANCE_IP: "10.244.0.9",
      SERVICE_ACCOUNT: name,
      ISTIO_META_WORKLOAD_NAME: name,
      ISTIO_META_CLUSTER_ID: "Kubernetes",
    },
    proxyType: "sidecar",
    dnsDomain: "",
    readFile: (file) =>
      file.endsWith("labels")
        ? `app="${name}"\nversion="v1"\nservice.istio.io/canonical-name="${name}"\nservice.istio.io/canonical-revision="v1"\n`
        : undefined,
  });
  assert.ok(read.ok);
  return read.value;
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "weft-agent-"));
const made = agentSockets(folder);
assert.ok(made.ok);
const sockets = made.value;
const secrets = new LocalSecrets();
const reports = new Registry();
let close = (): void => undefined;
let client: Client;

before(async () => {
  const served = await serveGrpc(sockets.grpc, (server) => {
    addSecretService(server, secrets, log);
    addAccessLogService(server, new Reports(config("api"), reports));
  });
  assert.ok(served.ok);
  close = served.value;
  client = new Client(`unix:${sockets.grpc}`, credentials.createInsecure());
});

after(() => {
  client.close();
  close();
  fs.rmSync(folder, { recursive: true });
});

describe("secrets", () => {
  it("are sent when they are there, and again when they change; the socket is nobody else's", async () => {
    assert.equal(fs.statSync(sockets.grpc).mode & 0o777, 0o600);
    const {
      path: at,
      requestSerialize,
      responseDeserialize,
    } = method({
      path: "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets",
      kind: "bidi",
      request: DiscoveryRequest,
      response: DiscoveryResponse,
    });
    const stream = client.makeBidiStreamRequest(at, requestSerialize, responseDeserialize);
    stream.on("error", () => undefined);
    stream.write(DiscoveryRequest.fromPartial({ resourceNames: ["default"] }));
    await new Promise((resolve) => setTimeout(resolve, 50));
    for (const text of ["first", "second"]) {
      const next = once(stream, "data");
      secrets.set("default", { kind: "certificate", certificateChainPem: text, privateKeyPem: "key" });
      const [response] = await next;
      const secret = Secret.decode(response.resources[0].value);
      assert.equal(secret.name, "default");
      assert.ok(secret.type?.$case === "tlsCertificate");
      const chain = secret.type.value.certificateChain?.specifier;
      assert.equal(chain?.$case === "inlineBytes" ? chain.value.toString() : "", text);
    }
    stream.cancel();
  });
});

async function report(reporter: string, entries: StreamAccessLogsMessage["logEntries"]): Promise<string> {
  const call = method({
    path: "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs",
    kind: "client-stream",
    request: StreamAccessLogsMessage,
    response: StreamAccessLogsResponse,
  });
  await new Promise<void>((resolve, reject) => {
    const done = (error: Error | null) => (error === null ? resolve() : reject(error));
    const stream = client.makeClientStreamRequest(call.path, call.requestSerialize, call.responseDeserialize, done);
    stream.write({ identifier: { node: undefined, logName: `weft.dev/${reporter}` }, logEntries: entries });
    stream.end();
  });
  return writePrometheus(reports.series());
}

const uri = (value: string) => ({ subjectAltName: [{ san: { $case: "uri" as const, value } }] });
const INBOUND = {
  upstreamCluster: "inbound|8080||",
  customTags: {
    services: '[{"host":"api.production.svc.cluster.local","name":"api","namespace":"production"}]',
    ...{ response_flags: "-", content_type: "text/plain" },
  },
  tlsProperties: { peerCertificateProperties: uri(CALLER_URI), localCertificateProperties: uri(API_URI) },
};

async function request(told: string | undefined): Promise<string> {
  const metadata = { filterMetadata: { "weft.dev": { peer: told } } };
  const entry = HTTPAccessLogEntry.fromPartial({
    commonProperties: { ...INBOUND, metadata, duration: { seconds: 0, nanos: 3_000_000 } },
    request: { authority: "api:8080", requestBodyBytes: 7 },
    response: { responseCode: 200, responseBodyBytes: 11 },
  });
  return report("destination", { $case: "httpLogs", value: { logEntry: [entry] } });
}

describe("reports", () => {
  it("of a server's requests name the caller by what it says of itself", async () => {
    const page = await request(writePeer(config("frontend", "shop")));
    const line = page.split("\n").find((each) => each.startsWith("istio_requests_total{")) ?? "";
    for (const label of [
      'reporter="destination"',
      'source_workload="frontend"',
      'source_workload_namespace="shop"',
      `source_principal="${CALLER_URI}"`,
      'source_app="frontend"',
      'source_version="v1"',
      'source_canonical_service="frontend"',
      'destination_workload="api"',
      `destination_principal="${API_URI}"`,
      'destination_service="api.production.svc.cluster.local"',
      'destination_service_name="api"',
      'destination_service_namespace="production"',
      'connection_security_policy="mutual_tls"',
      'request_protocol="http"',
      'response_code="200"',
      'response_flags="-"',
    ]) {
      assert.ok(line.includes(label), `${label} in ${line}`);
    }
    assert.match(line, / 1$/);
    assert.match(page, /^istio_request_duration_milliseconds_sum\{.*\} 3$/m);
    assert.match(page, /^istio_request_bytes_sum\{.*\} 7$/m);
    assert.match(page, /^istio_response_bytes_sum\{.*\} 11$/m);
  });

  it("believe a certificate rather than a caller that says it is of another namespace", async () => {
    const page = await request(writePeer(config("liar", "elsewhere")));
    assert.doesNotMatch(page, /liar|elsewhere/);
    assert.match(page, /^istio_requests_total\{.*source_workload="unknown",source_workload_namespace="shop"\} 1$/m);
  });

  it("of a connection count its bytes once, however often they are told", async () => {
    const entry = (accessLogType: AccessLogType, sentBytes: number) =>
      TCPAccessLogEntry.fromPartial({
        commonProperties: {
          streamId: "one",
          accessLogType,
          upstreamCluster: "outbound|5432||db.production.svc.cluster.local",
          customTags: { upstream_principal: CALLER_URI, workload: "db;shop;db;v2;Kubernetes", response_flags: "-" },
        },
        connectionProperties: { sentBytes, receivedBytes: 5 },
      });
    const types = [
      [AccessLogType.TcpUpstreamConnected, 0],
      [AccessLogType.TcpPeriodic, 60],
      [AccessLogType.TcpConnectionEnd, 100],
    ] as const;
    const logEntry = types.map(([type, sent]) => entry(type, sent));
    const page = await report("source", { $case: "tcpLogs", value: { logEntry } });
    for (const [name, value] of [
      ["connections_opened_total", 1],
      ["connections_closed_total", 1],
      ["sent_bytes_total", 100],
      ["received_bytes_total", 5],
    ] as const) {
      assert.match(page, new RegExp(`^istio_tcp_${name}\\{.*destination_workload="db".*\\} ${value}$`, "m"));
    }
  });
});

describe("what a peer says of itself", () => {
  it("is Istio's struct in base64, and nothing where it is none", () => {
    assert.deepEqual(readPeer(writePeer(config("api"))), {
      workload: "api",
      namespace: "production",
      app: "api",
      version: "v1",
      canonicalService: "api",
      canonicalRevision: "v1",
      cluster: "Kubernetes",
    });
    assert.equal(readPeer("////"), undefined);
    assert.equal(readPeer(""), undefined);
  });
});

describe("spans", () => {
  it("of Envoy go to a Jaeger agent's host as thrift-compact", async () => {
    const udp = createSocket("udp4");
    udp.bind(0, "127.0.0.1");
    await once(udp, "listening");
    const registry = new Registry();
    const asked: string[] = [];
    const hosts = (cluster: string): readonly AgentHost[] => {
      asked.push(cluster);
      return [{ host: "127.0.0.1", port: udp.address().port }];
    };
    const opened = await receiveSpans({ socket: sockets.spans, ip: "10.244.0.9", hosts, log, registry });
    assert.ok(opened.ok);
    try {
      const span = {
        ...{ traceId: "463ac35c9f6413ad48485a3953bb6124", id: "48485a3953bb6124", kind: "CLIENT", name: "api:8080/*" },
        ...{ timestamp: 1_700_000_000_000_000, duration: 1500, tags: { "http.status_code": "200", error: "true" } },
        localEndpoint: { serviceName: "frontend.production", ipv4: "10.244.0.9" },
      };
      const arrived = once(udp, "message");
      assert.equal(await post("/api/v2/spans?cluster=outbound%7C6831", JSON.stringify([span, { id: 7 }])), 202);
      const [datagram] = await arrived;
      const [seen, ...more] = jaegerSpans(datagram);
      assert.equal(more.length, 0, "what is no span is left out");
      assert.equal(seen?.service, "frontend.production");
      assert.equal(seen?.traceId, span.traceId);
      assert.equal(seen?.kind, "client");
      assert.equal(seen?.tags["http.status_code"], "200");
      assert.deepEqual(asked, ["outbound|6831"]);
      assert.equal(await post("/api/v2/spans", "{"), 400);
      assert.match(writePrometheus(registry.series()), /^weft_agent_spans_sent_total\{\} 1$/m);
    } finally {
      opened.value();
      udp.close();
    }
  });
});

function post(to: string, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = http.request({ socketPath: sockets.spans, path: to, method: "POST", agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

describe("Envoy's bootstrap", () => {
  it("tells the control plane that an agent is there, and names the agent's sockets", () => {
    const bootstrap = envoyBootstrap(config("api"), sockets);
    const { node, static_resources: resources } = bootstrap;
    assert.ok(isRecord(node) && isRecord(node["metadata"]) && isRecord(resources));
    assert.equal(node["id"], "sidecar~10.244.0.9~api-1.production~production.svc.cluster.local");
    assert.equal(node["cluster"], "api.production");
    assert.equal(node["metadata"]["WEFT_AGENT"], "true");
    const text = JSON.stringify(resources["clusters"]);
    assert.ok(text.includes(sockets.grpc) && text.includes(sockets.spans));
  });

  it("has short paths for the sockets where the folder's is too long", () => {
    const deep = agentSockets(path.join(folder, "a".repeat(120)));
    assert.ok(deep.ok);
    assert.ok(deep.value.grpc.length < 100, deep.value.grpc);
    fs.rmSync(path.dirname(deep.value.grpc), { recursive: true });
  });
});
