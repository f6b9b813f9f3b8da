// Port 15014: Istio's metrics are true, its debug pages say what was sent, profiles are files that tools read.

import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { isRecord } from "../../../src/base/json.ts";
import { makeDebugAccess } from "../../../src/control/debug-access.ts";
import { startDebugServer } from "../../../src/control/debug-http.ts";
import { type DebugSource, PAGES } from "../../../src/control/debug-pages.ts";
import { meshProblems } from "../../../src/control/mesh-problems.ts";
import { METRIC_HELP } from "../../../src/control/metric-help.ts";
import { API_WORKLOADS, snapshotOf } from "../translate/mesh.ts";
import { startMesh, type TestMesh, until } from "./mesh.ts";

const NAMESPACES = `
apiVersion: v1
kind: Namespace
metadata: {name: production}
---
apiVersion: v1
kind: Namespace
metadata: {name: istio-system}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: frontend, namespace: production}
`;
const ROUTE = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api, namespace: production}
spec: {hosts: [api], http: [{route: [{destination: {host: api}}]}]}
`;
const FRONTEND = {
  pod: "frontend-1",
  namespace: "production",
  serviceAccount: "frontend",
  address: "10.244.0.9",
  labels: { app: "frontend" },
} as const;

describe("the control plane's metrics", () => {
  it("count pushes, refusals, events and what led to them", async (context) => {
    const { mesh } = await synced(context);
    const before = await metrics(mesh);
    assert.equal(before.get('pilot_xds{version="test"}'), 1);
    assert.equal(before.get("pilot_services{}"), 1);
    assert.equal(before.get("pilot_virt_services{}"), 0);
    assert.equal(before.get("pilot_total_xds_rejects{}"), 0);
    await mesh.apply(ROUTE);
    await until("it runs", async () => /"VirtualService"/.test(await page(mesh, "/debug/configz")));
    await until("it is counted", async () => (await metrics(mesh)).get("pilot_virt_services{}") === 1);
    const after = await metrics(mesh);
    const grew = (name: string): number => (after.get(name) ?? 0) - (before.get(name) ?? 0);
    assert.equal(after.get('pilot_k8s_cfg_events{event="add",type="VirtualService"}'), 1);
    assert.ok((after.get('pilot_k8s_reg_events{event="add",type="Services"}') ?? 0) >= 1);
    assert.equal(grew('pilot_push_triggers{type="config"}'), 1);
    assert.equal(grew('pilot_push_triggers{type="service"}'), 0);
    assert.equal(grew('pilot_xds_pushes{type="cds"}'), 0, "a route alone pushes no cluster");
    await until("routes are pushed", async () => {
      const now = await metrics(mesh);
      return (now.get('pilot_xds_pushes{type="rds"}') ?? 0) > (before.get('pilot_xds_pushes{type="rds"}') ?? 0);
    });
    await until("it converges", async () => {
      const now = await metrics(mesh);
      const name = "pilot_proxy_convergence_time_count{}";
      return (now.get(name) ?? 0) > (before.get(name) ?? 0);
    });
    const last = await metrics(mesh);
    const all = last.get("pilot_proxy_convergence_time_count{}");
    assert.equal(last.get('pilot_proxy_convergence_time_bucket{le="30"}'), all, "seconds, not milliseconds");
    assert.ok((last.get('pilot_xds_config_size_bytes_sum{type="cds"}') ?? 0) > 100);
    for (const name of ["pilot_xds_send_time", "pilot_proxy_queue_time", "pilot_debounce_time"]) {
      assert.ok((last.get(`${name}_count{}`) ?? 0) >= 1, name);
    }
    assert.ok((last.get("istiod_uptime_seconds{}") ?? 0) > 0);
  });

  it("count a refusal by its type, and what answers something else than was asked", async (context) => {
    const { mesh } = await synced(context, { refuse: "cluster" });
    const now = await metrics(mesh);
    assert.ok((now.get("pilot_xds_cds_reject{}") ?? 0) >= 1);
    assert.equal(now.get("pilot_total_xds_rejects{}"), now.get("pilot_xds_cds_reject{}"));
    assert.equal(now.get("pilot_xds_lds_reject{}"), 0);
    assert.equal(now.get('pilot_xds_expired_nonce{type="cds"}'), 0);
    const [status] = list(await json(mesh, "/debug/syncz"));
    assert.ok(isRecord(status) && isRecord(status["cds"]));
    assert.equal(status["cds"]["state"], "ERROR");
    assert.match(String(status["cds"]["refusal"]), /not this one/);
  });

  it("have a help line each, and a type", async (context) => {
    const { mesh } = await synced(context);
    const text = await page(mesh, "/metrics");
    const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1] ?? "");
    assert.ok(names.length > 20);
    assert.deepEqual(
      names.filter((name) => METRIC_HELP[name] === undefined),
      [],
    );
    for (const line of text.trimEnd().split("\n")) {
      assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+\{([\w]+="[^"]*",?)*\} (-?\d+(\.\d+)?(e[-+]\d+)?|NaN|\+Inf))$/);
    }
  });
});

describe("what is wrong with a mesh as a whole", () => {
  it("is empty where nothing is", () => {
    const problems = meshProblems(snapshotOf(API_WORKLOADS));
    assert.deepEqual(
      Object.entries(problems).filter(([, found]) => found.length > 0),
      [],
    );
  });

  it("names services without endpoints, endpoints that aren't ready, pods without address, conflicts", () => {
    const problems = meshProblems(
      snapshotOf(`${API_WORKLOADS.replace("conditions: {ready: true}", "conditions: {ready: false}")}
---
apiVersion: v1
kind: Service
metadata: {name: empty, namespace: production}
spec: {clusterIP: 10.96.0.8, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: late, namespace: production}
spec: {containers: [{name: a, image: a}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: production, creationTimestamp: "2026-01-01T00:00:00Z"}
spec: {hosts: [api], http: [{route: [{destination: {host: api}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: b, namespace: production, creationTimestamp: "2026-01-02T00:00:00Z"}
spec: {hosts: [api], http: [{route: [{destination: {host: api}}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: other, namespace: production}
spec: {selector: {app: api}, clusterIP: 10.96.0.9, ports: [{name: http, port: 81, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: other-1, namespace: production, labels: {kubernetes.io/service-name: other}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.244.0.12], conditions: {ready: true}}]
`),
    );
    assert.deepEqual(problems.pilot_eds_no_instances, ["outbound|80||empty.production.svc.cluster.local"]);
    assert.deepEqual(problems.pilot_endpoint_not_ready, ["production/api 10.244.0.11"]);
    assert.deepEqual(problems.pilot_no_ip, ["production/late"]);
    assert.equal(problems.pilot_vservice_dup_domain.length, 1);
    assert.match(problems.pilot_vservice_dup_domain[0] ?? "", /^production\/b: spec.hosts\[0\]/);
    assert.deepEqual(problems.pilot_conflict_inbound_listener, ["10.244.0.12:8080 sniffed, http"]);
  });
});

describe("the debug pages", () => {
  it("are listed, answer in JSON, and name what is missing", async (context) => {
    const { mesh } = await synced(context);
    assert.deepEqual(
      await json(mesh, "/debug/list"),
      PAGES.map(({ name }) => `/debug/${name}`),
    );
    for (const { name } of PAGES) {
      const at = `/debug/${name.replace("POD.NAMESPACE", "frontend-1.production")}`;
      assert.ok((await json(mesh, at)) !== undefined, name);
    }
    const of = async (at: string) => fetch(`http://127.0.0.1:${mesh.control.debug?.port}${at}`);
    const missing = await of("/debug/config_dump?proxyID=nobody.production");
    assert.equal(missing.status, 404);
    assert.match(await missing.text(), /\/debug\/syncz lists/);
    assert.equal((await of("/debug/config_dump")).status, 400);
    assert.equal((await of("/debug/nothing")).status, 404);
  });

  it("are for this machine and accounts of the root namespace", async (context) => {
    const { mesh } = await synced(context);
    await mesh.apply(`
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: istio-system}
`);
    const tokenOf = async (namespace: string, serviceAccount: string, audience = "istio-ca"): Promise<string> => {
      const request = { namespace, serviceAccount, audiences: [audience], expirationSeconds: 600 };
      const token = await mesh.client.createToken(request);
      assert.ok(token.ok);
      return `Bearer ${token.value}`;
    };
    const access = makeDebugAccess({ client: mesh.client, rootNamespace: "istio-system" });
    const from = (remote: string, authorization?: string) => access({ remote, local: "10.244.0.1", authorization });
    for (const own of ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.244.0.1", "::ffff:10.244.0.1"]) {
      assert.equal(await from(own), undefined, own);
    }
    assert.match((await from("10.244.0.9")) ?? "", /ask for a token .* kubectl create token -n istio-system/);
    assert.match((await from("10.244.0.9", "Bearer nonsense")) ?? "", /the token was refused/);
    const own = await tokenOf("production", "frontend");
    assert.match((await from("10.244.0.9", own)) ?? "", /the token is of production\/frontend/);
    assert.equal(await from("10.244.0.9", await tokenOf("istio-system", "reader")), undefined);
    assert.match((await from("10.244.0.9", await tokenOf("istio-system", "reader", "other"))) ?? "", /was refused/);
  });

  it("refuse with 401 all but metrics, readiness and version", async (context) => {
    const { mesh } = await synced(context);
    const refusing: DebugSource = {
      ready: () => true,
      metrics: () => "",
      version: () => "1",
      connections: () => mesh.control.connections(),
      snapshot: () => undefined,
      injection: () => undefined,
      traces: undefined,
      trust: () => assert.fail("nobody may ask"),
      access: () => Promise.resolve("not you"),
    };
    const server = await startDebugServer({ address: "127.0.0.1", port: 0 }, refusing);
    context.after(() => server.close());
    const status = async (at: string) => (await fetch(`http://127.0.0.1:${server.at.port}${at}`)).status;
    for (const at of ["/ready", "/metrics", "/version"]) assert.equal(await status(at), 200, at);
    for (const { name } of PAGES) assert.equal(await status(`/debug/${name.split("?")[0]}`), 401, name);
    for (const at of ["/debug", "/debug/list", "/debug/pprof/heap", "/debug/traces"])
      assert.equal(await status(at), 401, at);
  });

  it("say of each type whether it is in sync, with the nonces that were sent and acknowledged", async (context) => {
    const { mesh } = await synced(context);
    const read = async (): Promise<Readonly<Record<string, unknown>>> => {
      const [status] = list(await json(mesh, "/debug/syncz"));
      assert.ok(isRecord(status));
      return status;
    };
    await until("every answer is acknowledged", async () => {
      const now = await read();
      return now["cluster_sent"] !== "" && now["cluster_sent"] === now["cluster_acked"];
    });
    const status = await read();
    assert.equal(status["proxy"], "frontend-1.production");
    assert.equal(status["proxy_type"], "sidecar");
    assert.deepEqual(status["sds"], { state: "NOT SENT", resources: 0 });
  });

  it("take a CPU and a heap profile, for so long as is asked within bounds", async (context) => {
    const { mesh } = await synced(context);
    const cpu = await json(mesh, "/debug/pprof/profile?seconds=0.2");
    assert.ok(isRecord(cpu) && Array.isArray(cpu["nodes"]) && typeof cpu["endTime"] === "number");
    const heap = await json(mesh, "/debug/pprof/heap?seconds=0.1");
    assert.ok(isRecord(heap) && isRecord(heap["head"]));
    const long = await fetch(`http://127.0.0.1:${mesh.control.debug?.port}/debug/pprof/profile?seconds=3600`);
    assert.equal(long.status, 400);
  });
});

async function synced(context: TestContext, options: { readonly refuse?: "cluster" } = {}) {
  const mesh = await startMesh(context);
  await mesh.apply(`${NAMESPACES}\n---\n${API_WORKLOADS}`);
  const proxy = await mesh.connect({
    ...FRONTEND,
    refuse: (update) =>
      update.kind === options.refuse && update.changed[0] !== undefined
        ? [{ resource: update.changed[0].name, path: "name", typeUrl: "x", message: "not this one" }]
        : [],
  });
  const done = options.refuse === undefined ? /"cds":\s*\{\s*"state": "SYNCED"/ : /"state": "ERROR"/;
  await until("it is in sync", async () => done.test(await page(mesh, "/debug/syncz")));
  return { mesh, proxy };
}

async function metrics(mesh: TestMesh): Promise<ReadonlyMap<string, number>> {
  const text = await page(mesh, "/metrics");
  return new Map(
    text
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]),
  );
}

async function page(mesh: TestMesh, at: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${mesh.control.debug?.port}${at}`);
  assert.equal(response.status, 200, at);
  return response.text();
}

async function json(mesh: TestMesh, at: string): Promise<unknown> {
  return JSON.parse(await page(mesh, at));
}

function list(value: unknown): readonly unknown[] {
  assert.ok(Array.isArray(value));
  return value;
}
