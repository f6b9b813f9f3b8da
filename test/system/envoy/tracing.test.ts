// The same tracing on Envoy and on weft: each takes up the other's context, and their spans say the same.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { zipkinCollector } from "../../traces/collectors.ts";
import type { SeenSpan } from "../../traces/jaeger-spans.ts";
import { call, echo, hop } from "../../unit/proxy/traced.ts";
import { freePort } from "../../walk/origin.ts";
import { type RunningEnvoy, skipWithoutEnvoy, startEnvoy } from "./envoy.ts";

type Direction = "INBOUND" | "OUTBOUND";

/** As `hop` makes it for weft. */
function bootstrap(ports: {
  readonly admin: number;
  readonly own: number;
  readonly upstream: number;
  readonly collector: number;
  readonly direction: Direction;
}): Readonly<Record<string, unknown>> {
  const address = (port: number) => ({ socket_address: { address: "127.0.0.1", port_value: port } });
  const cluster = (name: string, port: number) => ({
    name,
    type: "STATIC",
    connect_timeout: "1s",
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }],
    },
  });
  const zipkin = {
    "@type": "type.googleapis.com/envoy.config.trace.v3.ZipkinConfig",
    collector_cluster: "traces",
    collector_endpoint: "/api/v2/spans",
    collector_endpoint_version: "HTTP_JSON",
    trace_id_128bit: true,
    shared_span_context: false,
  };
  const manager = {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    stat_prefix: "test",
    tracing: { provider: { name: "tracer", typed_config: zipkin } },
    route_config: {
      virtual_hosts: [
        {
          name: "all",
          domains: ["*"],
          routes: [{ match: { prefix: "/" }, route: { cluster: "app" }, decorator: { operation: OPERATION } }],
        },
      ],
    },
    http_filters: [
      {
        name: "envoy.filters.http.router",
        typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
      },
    ],
  };
  return {
    node: { id: "test", cluster: "envoy" },
    admin: { address: address(ports.admin) },
    layered_runtime: { layers: [{ name: "static", static_layer: { "tracing.zipkin.flush_interval_ms": 200 } }] },
    static_resources: {
      clusters: [cluster("app", ports.upstream), cluster("traces", ports.collector)],
      listeners: [
        {
          name: "main",
          address: address(ports.own),
          traffic_direction: ports.direction,
          filter_chains: [{ filters: [{ name: "hcm", typed_config: manager }] }],
        },
      ],
    },
  };
}

const OPERATION = "api.production.svc.cluster.local:8080/*";

describe("tracing beside Envoy", { skip: skipWithoutEnvoy() }, () => {
  const directory = mkdtempSync(join(tmpdir(), "weft-tracing-"));
  const running: RunningEnvoy[] = [];
  after(() => {
    for (const envoy of running) envoy.kill();
    rmSync(directory, { recursive: true });
  });

  const envoyHop = async (upstream: number, collector: number, direction: Direction): Promise<number> => {
    const [admin, own] = [await freePort(), await freePort()];
    running.push(await startEnvoy(directory, bootstrap({ admin, own, upstream, collector, direction }), admin));
    return own;
  };
  const weftHop = async (upstreamPort: number, collectorPort: number, direction: Direction): Promise<number> =>
    (await hop({ upstreamPort, collectorPort, direction, operation: OPERATION, seed: upstreamPort })).port;

  for (const [client, server, title] of [
    [envoyHop, weftHop, "Envoy calls weft"],
    [weftHop, envoyHop, "weft calls Envoy"],
  ] as const) {
    it(`${title}: one trace, the server's span under the client's, and the same tags`, async () => {
      const traces = await zipkinCollector();
      const app = await echo();
      const serverPort = await server(app.port, traces.port, "INBOUND");
      const clientPort = await client(serverPort, traces.port, "OUTBOUND");
      await call(clientPort, { "user-agent": "test" }, "/api/x");
      const spans = await traces.until(2);
      const above = spans.find(({ kind }) => kind === "client");
      const below = spans.find(({ kind }) => kind === "server");
      assert.equal(above?.parentId, undefined);
      assert.equal(below?.traceId, above?.traceId);
      assert.equal(below?.parentId, above?.id);
      assert.deepEqual([above?.name, below?.name], [OPERATION, OPERATION]);
      assert.deepEqual(told(below), told(above));
      assert.equal(app.seen[0]?.["x-b3-spanid"], below?.id);
    });
  }
});

/** Without what differs between two hops, and between two implementations of the server's name. */
function told(span: SeenSpan | undefined): Readonly<Record<string, string>> {
  const { node_id: _id, ...tags } = span?.tags ?? {};
  return tags;
}
