// Configuration from files: listeners, clusters, routes, endpoints and secrets, replaced while calls go on.

import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { systemClock } from "../../../src/base/clock.ts";
import { openAuthority } from "../../../src/ca/authority.ts";
import { generateKey, privateKeyToPem } from "../../../src/identity/key.ts";
import { httpOrigin } from "../proxy/harness.ts";
import { connectionManager, file, folder, freePort, ready, runProxy, staticCluster, until } from "./process.ts";

const TYPE = "type.googleapis.com/envoy";

async function issuer() {
  const authority = await openAuthority({ directory: folder(), trustDomain: "cluster.local", clock: systemClock });
  assert.ok(authority.ok);
  return async (name: string) => {
    const key = generateKey();
    const publicKeyDer = Uint8Array.from(createPublicKey(key).export({ type: "spki", format: "der" }));
    const names = [{ type: "dns", value: name }] as const;
    const chain = await authority.value.sign({ publicKeyDer, names, lifetimeMs: 600_000 });
    return { chain, key: privateKeyToPem(key) };
  };
}

const address = (port: number) => ({ socket_address: { address: "127.0.0.1", port_value: port } });

function listener(
  port: number,
  more: Record<string, unknown> = {},
  hcm: Record<string, unknown> = connectionManager(),
) {
  return { name: "front", address: address(port), filter_chains: [{ filters: [hcm], ...more }] };
}

function tlsSocket(common: Record<string, unknown>): Record<string, unknown> {
  const typed = {
    "@type": `${TYPE}.extensions.transport_sockets.tls.v3.DownstreamTlsContext`,
    common_tls_context: common,
  };
  return { transport_socket: { name: "envoy.transport_sockets.tls", typed_config: typed } };
}

/** The name in the certificate that is presented now, by a connection of its own. */
function presented(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false, servername: "any.example" }, () => {
      resolve(socket.getPeerCertificate().subjectaltname ?? "");
      socket.destroy();
    });
    socket.on("error", (error) => resolve(error.message));
  });
}

function ask(socket: TLSSocket): Promise<string> {
  return new Promise((resolve, reject) => {
    socket.once("data", (bytes) => resolve(String(bytes)));
    socket.once("close", () => reject(new Error("closed")));
    socket.write("GET / HTTP/1.1\r\nhost: any\r\n\r\n");
  });
}

async function keptOpen(port: number): Promise<TLSSocket> {
  const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false });
  await new Promise((resolve) => socket.once("secureConnect", resolve));
  return socket;
}

describe("certificates", () => {
  test("named by file, they follow the files, and the connections that stand stay", async () => {
    const issue = await issuer();
    const origin = await httpOrigin((_request, response) => response.end("hello"));
    const [admin, front] = [await freePort(), await freePort()];
    const where = folder();
    const [chain, key] = [join(where, "chain.pem"), join(where, "key.pem")];
    const first = await issue("first.example");
    writeFileSync(chain, first.chain);
    writeFileSync(key, first.key);
    const tls = tlsSocket({
      tls_certificates: [{ certificate_chain: { filename: chain }, private_key: { filename: key } }],
    });
    const bootstrap = {
      admin: { address: address(admin) },
      static_resources: { listeners: [listener(front, tls)], clusters: [staticCluster("origin", origin)] },
    };
    const proxy = runProxy(["-c", file("b.json", bootstrap)]);
    await ready(admin, proxy);
    assert.equal(await presented(front), "DNS:first.example");
    const standing = await keptOpen(front);
    assert.match(await ask(standing), /hello/);
    const second = await issue("second.example");
    writeFileSync(chain, second.chain);
    await sleep(150);
    // Half of the pair is no pair: the first one goes on.
    assert.equal(await presented(front), "DNS:first.example");
    writeFileSync(`${key}.new`, second.key);
    renameSync(`${key}.new`, key);
    await until(async () => (await presented(front)) === "DNS:second.example", "the new certificate");
    assert.match(await ask(standing), /hello/);
    standing.destroy();
  });

  test("by SDS from a file behind a link that is swapped, and with files of their own", async () => {
    const issue = await issuer();
    const origin = await httpOrigin((_request, response) => response.end("hello"));
    const [admin, front] = [await freePort(), await freePort()];
    const where = folder();
    const write = async (version: string, name: string) => {
      const pair = await issue(name);
      mkdirSync(join(where, version));
      writeFileSync(join(where, version, "chain.pem"), pair.chain);
      writeFileSync(join(where, version, "key.pem"), pair.key);
      const certificate = {
        certificate_chain: { filename: join(where, "..data/chain.pem") },
        private_key: { filename: join(where, "..data/key.pem") },
        watched_directory: { path: where },
      };
      const secret = {
        "@type": `${TYPE}.extensions.transport_sockets.tls.v3.Secret`,
        name: "server",
        tls_certificate: certificate,
      };
      writeFileSync(join(where, version, "sds.json"), JSON.stringify({ resources: [secret] }));
      symlinkSync(version, join(where, "..new"));
      renameSync(join(where, "..new"), join(where, "..data"));
    };
    await write("one", "first.example");
    symlinkSync("..data/sds.json", join(where, "sds.json"));
    const source = { path_config_source: { path: join(where, "sds.json"), watched_directory: { path: where } } };
    const tls = tlsSocket({ tls_certificate_sds_secret_configs: [{ name: "server", sds_config: source }] });
    const bootstrap = {
      admin: { address: address(admin) },
      static_resources: { listeners: [listener(front, tls)], clusters: [staticCluster("origin", origin)] },
    };
    const proxy = runProxy(["-c", file("b.json", bootstrap)]);
    await ready(admin, proxy);
    assert.equal(await presented(front), "DNS:first.example");
    const standing = await keptOpen(front);
    await write("two", "second.example");
    rmSync(join(where, "one"), { recursive: true });
    await until(async () => (await presented(front)) === "DNS:second.example", "the new certificate");
    assert.match(await ask(standing), /hello/);
    standing.destroy();
    const certs = await (await fetch(`http://127.0.0.1:${admin}/certs`)).text();
    assert.match(certs, /second\.example/);
  });
});

test("listeners, clusters, routes and endpoints from files; a mistake leaves the last good version in force", async () => {
  const [one, two] = [
    await httpOrigin((_request, response) => response.end("one")),
    await httpOrigin((_request, response) => response.end("two")),
  ];
  const [admin, front] = [await freePort(), await freePort()];
  const where = folder();
  const at = (name: string) => ({ resource_api_version: "V3", path_config_source: { path: join(where, name) } });
  const put = (name: string, resources: readonly unknown[]) => {
    writeFileSync(join(where, `${name}.new`), JSON.stringify({ version_info: "1", resources }));
    renameSync(join(where, `${name}.new`), join(where, name));
  };
  const cluster = { "@type": `${TYPE}.config.cluster.v3.Cluster`, name: "origin", type: "EDS", connect_timeout: "1s" };
  const hcm = connectionManager();
  const typed = Object(hcm["typed_config"]);
  const { route_config: routes, ...rest } = typed;
  const rds = { route_config_name: "all", config_source: at("rds.json") };
  const withRds = { ...hcm, typed_config: { ...rest, rds } };
  const endpoints = (port: number) => ({
    "@type": `${TYPE}.config.endpoint.v3.ClusterLoadAssignment`,
    cluster_name: "origin",
    endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }],
  });
  put("cds.json", [{ ...cluster, eds_cluster_config: { eds_config: at("eds.json") } }]);
  put("lds.json", [{ "@type": `${TYPE}.config.listener.v3.Listener`, ...listener(front, {}, withRds) }]);
  put("rds.json", [{ "@type": `${TYPE}.config.route.v3.RouteConfiguration`, ...routes }]);
  put("eds.json", [endpoints(one)]);
  const proxy = runProxy([
    ...["-c", file("b.json", { admin: { address: address(admin) } }), "--config-yaml"],
    JSON.stringify({
      node: { id: "n", cluster: "c" },
      dynamic_resources: { cds_config: at("cds.json"), lds_config: at("lds.json") },
    }),
  ]);
  await ready(admin, proxy);
  const get = async () => (await fetch(`http://127.0.0.1:${front}/`)).text();
  assert.equal(await get(), "one");
  put("eds.json", [endpoints(two)]);
  await until(async () => (await get()) === "two", "the new endpoints");
  const status = {
    ...routes,
    virtual_hosts: [
      {
        name: "v",
        domains: ["*"],
        routes: [{ match: { prefix: "/" }, direct_response: { status: 200, body: { inline_string: "direct" } } }],
      },
    ],
  };
  put("rds.json", [{ "@type": `${TYPE}.config.route.v3.RouteConfiguration`, ...status }]);
  await until(async () => (await get()) === "direct", "the new routes");
  writeFileSync(join(where, "rds.json"), "{ nonsense");
  await until(() => proxy.output().includes("rds.json"), "the mistake is told");
  assert.equal(await get(), "direct");
  put("lds.json", []);
  await until(() => refuses(front), "the listener is gone");
});

function refuses(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(false);
    });
    socket.on("error", () => resolve(true));
  });
}

test("what a bootstrap says beside its resources is honoured or refused by its path", async () => {
  const refused = {
    stats_sinks: [{ name: "envoy.stat_sinks.statsd" }],
    tracing: { http: { name: "zipkin" } },
    overload_manager: { buffer_factory_config: { minimum_account_to_track_power_of_two: 20 } },
    watchdogs: { main_thread_watchdog: { miss_timeout: "1s" } },
    layered_runtime: { layers: [{ name: "disk", disk_layer: { symlink_root: "/x" } }] },
    admin: { address: address(1), access_log_path: "/x" },
    header_prefix: "x-other",
    dynamic_resources: { cds_config: { api_config_source: { api_type: "REST" } } },
  };
  for (const [field, value] of Object.entries(refused)) {
    const run = runProxy(["-c", file("b.json", { [field]: value }), "--mode", "validate"]);
    assert.equal(await run.ended, 1, `${field}: ${run.output()}`);
    assert.match(run.output(), new RegExp(`${field}[.a-z_[\\]0-9]*: .*`), field);
  }
});

test("runtime: layers count in the configuration, and /runtime_modify changes it while calls go on", async () => {
  const origin = await httpOrigin((_request, response) => response.end("origin"));
  const [admin, front] = [await freePort(), await freePort()];
  const hcm = connectionManager();
  const typed = Object(hcm["typed_config"]);
  const fraction = { default_value: { numerator: 0, denominator: "HUNDRED" }, runtime_key: "test.share" };
  const routes = [
    {
      match: { prefix: "/", runtime_fraction: fraction },
      direct_response: { status: 200, body: { inline_string: "runtime" } },
    },
    { match: { prefix: "/" }, route: { cluster: "origin" } },
  ];
  const route_config = { name: "all", virtual_hosts: [{ name: "all", domains: ["*"], routes }] };
  const bootstrap = {
    admin: { address: address(admin) },
    layered_runtime: {
      layers: [
        { name: "base", static_layer: { test: { share: 100 }, flag: true } },
        { name: "admin", admin_layer: {} },
      ],
    },
    static_resources: {
      listeners: [listener(front, {}, { ...hcm, typed_config: { ...typed, route_config } })],
      clusters: [staticCluster("origin", origin)],
    },
  };
  const proxy = runProxy(["-c", file("b.json", bootstrap)]);
  await ready(admin, proxy);
  const get = async () => (await fetch(`http://127.0.0.1:${front}/`)).text();
  const modify = async (query: string) => {
    const answer = await fetch(`http://127.0.0.1:${admin}/runtime_modify?${query}`, { method: "POST" });
    return { status: answer.status, body: await answer.text() };
  };
  assert.equal(await get(), "runtime");
  assert.deepEqual(await modify("test.share=0&more=1"), { status: 200, body: "OK\n" });
  await until(async () => (await get()) === "origin", "the share is 0");
  const shown: unknown = await (await fetch(`http://127.0.0.1:${admin}/runtime`)).json();
  assert.deepEqual(shown, {
    entries: {
      flag: { layer_values: ["true", ""], final_value: "true" },
      more: { layer_values: ["", "1"], final_value: "1" },
      "test.share": { layer_values: ["100", "0"], final_value: "0" },
    },
    layers: ["base", "admin"],
  });
  await modify("test.share=");
  await until(async () => (await get()) === "runtime", "the share is the base layer's again");
  assert.equal((await modify("")).status, 400);
  assert.equal((await fetch(`http://127.0.0.1:${admin}/runtime_modify?a=b`)).status, 405);
});
