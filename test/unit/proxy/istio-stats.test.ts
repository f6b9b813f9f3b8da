// Istio's standard metrics as the proxy counts them: every kind of end of a request, at the caller and at the called one.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import type { Registry, Series } from "../../../src/observe/metrics.ts";
import {
  chain,
  cluster,
  httpListener,
  httpOrigin,
  listener,
  raw,
  routeAll,
  start,
  tcpFilter,
  tcpOrigin,
} from "./harness.ts";

const WEB = {
  WORKLOAD_NAME: "web",
  NAMESPACE: "shop",
  CLUSTER_ID: "Kubernetes",
  LABELS: { app: "web", version: "v7" },
};
const SERVICE = { services: [{ host: "api.shop.svc.cluster.local", name: "api", namespace: "shop" }] };

/** A cluster whose one endpoint says who it is, as the control plane writes it. */
function named(name: string, port: number, workload: string) {
  const made = cluster(name, [port], { metadata: { filterMetadata: { istio: SERVICE } } });
  const endpoint = made.loadAssignment?.endpoints[0]?.lbEndpoints[0];
  assert.ok(endpoint !== undefined);
  endpoint.metadata = { filterMetadata: { istio: { workload } }, typedFilterMetadata: {} };
  return made;
}

function get(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n`;
}

function istio(registry: Registry, name: string): readonly Series[] {
  return [...registry.series()].filter((series) => series.name === name);
}

function counted(series: Series): number {
  return series.metric.type === "histogram" ? series.metric.handle.count : series.metric.handle.value;
}

test("requests by who calls whom and how they ended, with their durations and sizes", async () => {
  const origin = await httpOrigin((request, response) => {
    response.statusCode = request.url === "/bad" ? 500 : 200;
    response.end("hello");
  });
  const clusters = [
    named("outbound|80||api", origin, "api-v2;shop;api;v2;Kubernetes"),
    cluster("outbound|80||gone", []),
  ];
  const routes = [
    { match: { prefix: "/gone" }, route: { cluster: "outbound|80||gone" } },
    { match: { prefix: "/redirect" }, redirect: { pathRedirect: "/" } },
    { match: { prefix: "/" }, route: { cluster: "outbound|80||api" } },
  ];
  const virtualHosts = [{ name: "api", domains: ["*"], routes }];
  const { port, registry } = await start(
    { listeners: [httpListener({ virtualHosts }, { trafficDirection: "OUTBOUND" })], clusters },
    { metadata: WEB },
  );
  for (const path of ["/", "/", "/bad", "/gone", "/redirect"]) await raw(port, get(path));
  const told = istio(registry, "istio_requests_total").map((series) => {
    const { labels } = series;
    const to = `${labels["destination_service_name"]}/${labels["destination_workload"]}/${labels["destination_version"]}`;
    return `${to} ${labels["response_code"]} ${labels["response_flags"]} ${counted(series)}`;
  });
  assert.deepEqual(told.sort(), [
    "api/api-v2/v2 200 - 2",
    "api/api-v2/v2 500 - 1",
    "outbound|80||gone/unknown/unknown 503 UH 1",
    "unknown/unknown/unknown 301 - 1",
  ]);
  const [first] = istio(registry, "istio_requests_total");
  assert.deepEqual(first?.labels, {
    reporter: "source",
    source_workload: "web",
    source_workload_namespace: "shop",
    source_principal: "unknown",
    source_app: "web",
    source_version: "v7",
    source_cluster: "Kubernetes",
    source_canonical_service: "web",
    source_canonical_revision: "v7",
    destination_workload: "api-v2",
    destination_workload_namespace: "shop",
    destination_principal: "unknown",
    destination_app: "api",
    destination_version: "v2",
    destination_cluster: "Kubernetes",
    destination_canonical_service: "api",
    destination_canonical_revision: "v2",
    destination_service: "api.shop.svc.cluster.local",
    destination_service_name: "api",
    destination_service_namespace: "shop",
    connection_security_policy: "unknown",
    request_protocol: "http",
    response_code: "200",
    response_flags: "-",
    grpc_response_status: "",
  });
  for (const name of ["istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes"]) {
    assert.equal(
      istio(registry, name).reduce((sum, series) => sum + counted(series), 0),
      5,
      name,
    );
  }
  const sizes = istio(registry, "istio_response_bytes")[0]?.metric;
  assert.ok(sizes?.type === "histogram");
  assert.equal(sizes.handle.sum, 10);
});

test("the called one's side says what it knows of the caller: nothing, where the connection was in the clear", async () => {
  const origin = await httpOrigin((_request, response) => response.end("hello"));
  const inbound = cluster("inbound|80||", [origin], { metadata: { filterMetadata: { istio: SERVICE } } });
  const { port, registry } = await start(
    {
      listeners: [httpListener({ virtualHosts: [routeAll("inbound|80||")] }, { trafficDirection: "INBOUND" })],
      clusters: [inbound],
    },
    { metadata: { ...WEB, WORKLOAD_NAME: "api-v2", LABELS: { app: "api", version: "v2" } } },
  );
  await raw(port, get("/"));
  const [one, ...others] = istio(registry, "istio_requests_total");
  assert.deepEqual(others, []);
  assert.ok(one !== undefined);
  const { labels } = one;
  assert.equal(labels["reporter"], "destination");
  assert.equal(labels["destination_workload"], "api-v2");
  assert.equal(labels["destination_version"], "v2");
  assert.equal(labels["destination_service_name"], "api");
  assert.equal(labels["source_workload"], "unknown");
  assert.equal(labels["connection_security_policy"], "none");
});

test("TCP: connections and bytes, counted while a connection lives", async () => {
  const origin = await tcpOrigin((socket) => {
    socket.on("data", (bytes) => socket.write(`${bytes}${bytes}`));
    socket.on("end", () => socket.end());
  });
  const tcp = listener([chain(tcpFilter("outbound|3306||db"))], { trafficDirection: "OUTBOUND" });
  const { port, registry } = await start(
    { listeners: [tcp], clusters: [named("outbound|3306||db", origin, "db;shop;db;v1;Kubernetes")] },
    { metadata: WEB },
  );
  const value = (name: string): number => istio(registry, name).reduce((sum, series) => sum + counted(series), 0);
  const socket = connect(port, "127.0.0.1");
  socket.write("12345");
  await new Promise((resolve) => socket.once("data", resolve));
  assert.equal(value("istio_tcp_connections_opened_total"), 1);
  assert.equal(value("istio_tcp_connections_closed_total"), 0);
  const deadline = Date.now() + 5_000;
  while (value("istio_tcp_sent_bytes_total") !== 10 && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal(value("istio_tcp_sent_bytes_total"), 10);
  assert.equal(value("istio_tcp_received_bytes_total"), 5);
  socket.end();
  await new Promise((resolve) => socket.once("close", resolve));
  while (value("istio_tcp_connections_closed_total") !== 1 && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.equal(value("istio_tcp_connections_closed_total"), 1);
  assert.equal(value("istio_tcp_sent_bytes_total"), 10);
  assert.equal(istio(registry, "istio_tcp_sent_bytes_total")[0]?.labels["destination_workload"], "db");
});

test("outside a mesh nothing of it is counted", async () => {
  const origin = await httpOrigin((_request, response) => response.end("hello"));
  const { port, registry } = await start({
    listeners: [httpListener({ virtualHosts: [routeAll("origin")] }, { trafficDirection: "OUTBOUND" })],
    clusters: [cluster("origin", [origin])],
  });
  await raw(port, get("/"));
  assert.deepEqual(istio(registry, "istio_requests_total"), []);
});
