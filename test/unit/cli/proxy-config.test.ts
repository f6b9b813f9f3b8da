// What a proxy runs, from dumps in Envoy's spelling and in protobuf's own: tables, filters, and what differs.

import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { systemClock } from "../../../src/base/clock.ts";
import { openAuthority } from "../../../src/ca/authority.ts";
import { CLUSTER_HEADER, clusterRows, filterClusters } from "../../../src/cli/dump/clusters.ts";
import { compareDumps } from "../../../src/cli/dump/difference.ts";
import { type Dump, readDump } from "../../../src/cli/dump/dump.ts";
import { endpointRows, endpointsOfClusters, filterEndpoints } from "../../../src/cli/dump/endpoints.ts";
import { filterListeners, listenerRows } from "../../../src/cli/dump/listeners.ts";
import { filterRoutes, routeRows } from "../../../src/cli/dump/routes.ts";
import { secretRows } from "../../../src/cli/dump/secrets.ts";

const V1 = "outbound|8080|v1|api.shop.svc.cluster.local";
const DUMP = "type.googleapis.com/envoy.admin.v3.";

function cluster(name: string, more: object = {}): object {
  return {
    "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    name,
    type: "EDS",
    connect_timeout: "10s",
    ...more,
  };
}

/** As Envoy prints it. */
const ENVOY = {
  configs: [
    {
      "@type": `${DUMP}BootstrapConfigDump`,
      bootstrap: { node: { id: "n", metadata: { some_key: { inner_key: 1 } } } },
    },
    {
      "@type": `${DUMP}ClustersConfigDump`,
      static_clusters: [{ cluster: cluster("xds-grpc", { type: "STRICT_DNS" }) }],
      dynamic_active_clusters: [
        {
          version_info: "a",
          cluster: cluster(V1, {
            metadata: {
              filter_metadata: {
                istio: { config: "/apis/networking.istio.io/v1/namespaces/shop/destination-rule/api" },
              },
            },
          }),
        },
        { version_info: "b", cluster: cluster("inbound|9000||", { type: "ORIGINAL_DST" }) },
      ],
    },
    {
      "@type": `${DUMP}ListenersConfigDump`,
      dynamic_listeners: [
        {
          name: "10.96.0.7_3306",
          active_state: {
            listener: {
              "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
              name: "10.96.0.7_3306",
              address: { socket_address: { address: "10.96.0.7", port_value: 3306 } },
              filter_chains: [
                {
                  filter_chain_match: {
                    prefix_ranges: [{ address_prefix: "10.1.0.0", prefix_len: 16 }],
                    destination_port: 1,
                  },
                  filters: [
                    {
                      typed_config: {
                        "@type": "x/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                        cluster: V1,
                      },
                    },
                  ],
                },
              ],
              default_filter_chain: {
                filters: [
                  {
                    typed_config: {
                      "@type": "x/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                      rds: { route_config_name: "80" },
                    },
                  },
                ],
              },
            },
          },
        },
      ],
    },
    {
      "@type": `${DUMP}RoutesConfigDump`,
      dynamic_route_configs: [
        {
          route_config: {
            "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
            name: "80",
            virtual_hosts: [
              {
                name: "api:80",
                domains: ["api.shop.svc.cluster.local", "api", "api:80", "api.shop", "10.96.0.7"],
                routes: [
                  {
                    match: { safe_regex: { regex: "/a.*" }, query_parameters: [{ name: "q" }] },
                    metadata: {
                      filter_metadata: { "weft.dev": { resource: "VirtualService shop/api", rule: "spec.http[0]" } },
                    },
                    route: { cluster: V1 },
                  },
                  { match: { prefix: "/" }, direct_response: { status: 503 } },
                ],
              },
            ],
          },
        },
      ],
    },
  ],
};

/** As the control plane prints what it sent. */
const SENT = {
  configs: [
    {
      "@type": `${DUMP}ClustersConfigDump`,
      dynamicActiveClusters: [
        {
          cluster: {
            name: V1,
            type: "EDS",
            connectTimeout: "10s",
            metadata: {
              filterMetadata: {
                istio: { config: "/apis/networking.istio.io/v1/namespaces/shop/destination-rule/api" },
              },
            },
          },
        },
        { cluster: { name: "inbound|9000||", type: "ORIGINAL_DST", connectTimeout: "10s" } },
      ],
    },
    { "@type": `${DUMP}ListenersConfigDump`, dynamicListeners: [] },
    { "@type": `${DUMP}RoutesConfigDump`, dynamicRouteConfigs: [] },
  ],
};

describe("proxy-config", () => {
  it("clusters: host, port, subset, direction, type and rule, filtered by each", () => {
    const { cluster: entries } = dump(ENVOY).entries;
    assert.equal(CLUSTER_HEADER.length, 6);
    assert.deepEqual(clusterRows(entries), [
      ["-", "9000", "-", "inbound", "ORIGINAL_DST", ""],
      ["api.shop.svc.cluster.local", "8080", "v1", "outbound", "EDS", "api.shop"],
      ["xds-grpc", "-", "-", "-", "STRICT_DNS", ""],
    ]);
    const names = (filter: Parameters<typeof filterClusters>[1]) =>
      filterClusters(entries, filter).map(({ name }) => name);
    assert.deepEqual(names({ fqdn: "api.shop" }), [V1]);
    assert.deepEqual(names({ port: "9000" }), ["inbound|9000||"]);
    assert.deepEqual(names({ direction: "outbound" }), [V1]);
    assert.deepEqual(names({ subset: "v1" }), [V1]);
    assert.deepEqual(names({ subset: "v1", port: "9000" }), []);
  });

  it("listeners: one row a filter chain, the default chain last", () => {
    const { listener } = dump(ENVOY).entries;
    assert.deepEqual(listenerRows(listener), [
      ["10.96.0.7", "3306", "Addr: 10.1.0.0/16:1", `Cluster: ${V1}`],
      ["10.96.0.7", "3306", "ALL", "Route: 80"],
    ]);
    assert.equal(filterListeners(listener, { port: "80" }).length, 0);
    assert.equal(filterListeners(listener, { address: "10.96.0.7", port: "3306" }).length, 1);
  });

  it("routes: hosts by their shortest names, what is matched, and the VirtualService", () => {
    const { route } = dump(ENVOY).entries;
    assert.deepEqual(routeRows(route), [
      ["80", "api:80", "api, api.shop + 2 more...", "regex /a.* (?q)", "api.shop"],
      ["80", "api:80", "api, api.shop + 2 more...", "/*", "503"],
    ]);
    assert.equal(filterRoutes(route, "81").length, 0);
  });

  it("endpoints: in what state each is, ejected ones too", () => {
    const host = (port: number, health: object) => ({
      address: { socket_address: { address: "10.244.0.3", port_value: port } },
      health_status: { eds_health_status: "HEALTHY", ...health },
    });
    const rows = endpointsOfClusters({
      cluster_statuses: [
        {
          name: V1,
          host_statuses: [
            host(1, {}),
            host(2, { failed_outlier_check: true }),
            host(3, { failed_active_health_check: true }),
            host(4, { eds_health_status: "DRAINING" }),
          ],
        },
        { name: "agent", host_statuses: [{ address: { pipe: { path: "/run/x" } }, health_status: {} }] },
      ],
    });
    assert.deepEqual(endpointRows(rows), [
      ["unix:///run/x", "HEALTHY", "OK", "agent"],
      ["10.244.0.3:1", "HEALTHY", "OK", V1],
      ["10.244.0.3:2", "UNHEALTHY", "FAILED", V1],
      ["10.244.0.3:3", "UNHEALTHY", "OK", V1],
      ["10.244.0.3:4", "DRAINING", "OK", V1],
    ]);
    assert.equal(filterEndpoints(rows, { status: "unhealthy" }).length, 2);
    assert.equal(filterEndpoints(rows, { cluster: "agent" }).length, 1);
    assert.equal(filterEndpoints(rows, { port: "4", address: "10.244.0.3" }).length, 1);
  });

  it("secrets: whose certificate, and how long it holds", async (context) => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "weft-pc-"));
    context.after(() => fs.rmSync(directory, { recursive: true, force: true }));
    const authority = await openAuthority({ directory, trustDomain: "cluster.local", clock: systemClock });
    assert.ok(authority.ok);
    const trusted_ca = { inline_bytes: Buffer.from(authority.value.rootPem).toString("base64") };
    const { secret } = dump({
      configs: [
        {
          "@type": `${DUMP}SecretsConfigDump`,
          dynamic_active_secrets: [{ name: "ROOTCA", secret: { name: "ROOTCA", validation_context: { trusted_ca } } }],
          dynamic_warming_secrets: [{ name: "late", secret: { name: "late" } }],
        },
      ],
    }).entries;
    const [root, late] = secretRows(secret, Date.now());
    assert.deepEqual([root?.name, root?.type, root?.state, root?.valid], ["ROOTCA", "CA", "ACTIVE", true]);
    assert.deepEqual([late?.name, late?.type, late?.state, late?.valid], ["late", "Other", "WARMING", false]);
    assert.equal(secretRows(secret, Date.now() + 20 * 365 * 86_400_000)[0]?.valid, false);
  });

  it("the node's metadata keeps its own names", () => {
    assert.deepEqual(dump(ENVOY).bootstrap["node"], { id: "n", metadata: { some_key: { inner_key: 1 } } });
  });

  it("says that something is no dump", () => {
    const read = readDump({ clusters: [] });
    assert.ok(!read.ok && /no config_dump/.test(read.error));
  });
});

describe("proxy-status of one pod", () => {
  it("finds nothing between two spellings of the same, and static clusters don't count", () => {
    const clusters = compareDumps(dump(SENT), dump(ENVOY)).filter(({ type }) => type === "Clusters");
    assert.deepEqual(clusters, []);
  });

  it("names a field that differs by its path, and what is on one side only", () => {
    const other = structuredClone(SENT);
    const [clusters] = other.configs;
    const first = clusters?.dynamicActiveClusters?.[0];
    assert.ok(first !== undefined);
    first.cluster.connectTimeout = "5s";
    clusters?.dynamicActiveClusters?.pop();
    const found = compareDumps(dump(other), dump(ENVOY)).filter(({ type }) => type === "Clusters");
    assert.deepEqual(
      found.map(({ name, path, sent, running }) => [name, path, sent, typeof running === "string" ? running : "-"]),
      [
        ["inbound|9000||", "", undefined, "-"],
        [V1, "connectTimeout", "5s", "10s"],
      ],
    );
  });
});

function dump(value: unknown): Dump {
  const read = readDump(value);
  assert.ok(read.ok, read.ok ? "" : read.error);
  return read.value;
}
