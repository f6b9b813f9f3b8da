import assert from "node:assert/strict";
import http from "node:http";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import { readProbers } from "../../../src/agent/prober.ts";
import { type StatusServers, startStatusServers } from "../../../src/agent/status-server.ts";
import { listen } from "../../../src/base/listen.ts";
import { LogRoot } from "../../../src/observe/log.ts";
import { Registry } from "../../../src/observe/metrics.ts";
import { writePrometheus } from "../../../src/observe/prometheus.ts";

let app: http.Server;
let status: StatusServers;
let appPort = 0;
let missing: string | undefined = "no certificate yet";
let quits = 0;
let seen: http.IncomingMessage | undefined;
const ports = { status: 0, readiness: 0, prometheus: 0 };

before(async () => {
  app = http.createServer((request, response) => {
    seen = request;
    if (request.url === "/slow") return;
    const code = request.url === "/fails" ? 500 : request.url === "/moved" ? 302 : 200;
    response.writeHead(code, { location: "/elsewhere" });
    response.end(request.url === "/metrics" ? "# TYPE app_total counter\napp_total 5\n# EOF\n" : "");
  });
  const bound = await listen(app, { host: "127.0.0.1", port: 0 });
  assert.ok(bound.ok);
  appPort = bound.value;
  const http1 = (path: string, extra = {}) => ({ httpGet: { path, port: appPort, ...extra }, timeoutSeconds: 0.2 });
  const probers = readProbers(
    JSON.stringify({
      "/app-health/app/readyz": http1("/ok", {
        httpHeaders: [
          { name: "Host", value: "api" },
          { name: "X-A", value: "1" },
        ],
      }),
      "/app-health/app/livez": http1("/fails"),
      "/app-health/app/startupz": http1("/moved"),
      "/app-health/slow/livez": http1("/slow"),
      "/app-health/tcp/livez": { tcpSocket: { port: appPort } },
      "/app-health/tcp/readyz": { tcpSocket: { port: await unusedPort() } },
    }),
  );
  assert.ok(probers.ok);
  for (const key of ["status", "readiness", "prometheus"] as const) ports[key] = await unusedPort();
  const proxyRegistry = new Registry();
  proxyRegistry.scope({ statPrefix: "server.", namePrefix: "envoy_server_", labels: {} }).gauge("live").set(1);
  const agentRegistry = new Registry();
  const host = "127.0.0.1";
  const started = await startStatusServers(
    {
      notReady: () => missing,
      proxyPage: () => writePrometheus(proxyRegistry.series()),
      mergedPage: () => writePrometheus([...proxyRegistry.series(), ...agentRegistry.series()]),
      agentRegistry,
      probers: probers.value,
      appAddress: "127.0.0.1",
      appMetrics: { port: appPort, path: "/metrics" },
      quit: () => {
        quits += 1;
      },
      drain: () => undefined,
      log: new LogRoot({ level: "off", format: "plain", write: () => undefined, wallMs: () => 0 }).logger("status"),
    },
    {
      status: { host, port: ports.status },
      readiness: { host, port: ports.readiness },
      prometheus: { host, port: ports.prometheus },
    },
  );
  assert.ok(started.ok);
  status = started.value;
});

after(() => {
  status.close();
  app.close();
  app.closeAllConnections();
});

async function unusedPort(): Promise<number> {
  const probe = net.createServer();
  const bound = await listen(probe, { host: "127.0.0.1", port: 0 });
  assert.ok(bound.ok);
  await new Promise((resolve) => probe.close(resolve));
  return bound.value;
}

async function get(port: number, path: string, method = "GET"): Promise<{ code: number; body: string }> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method });
  return { code: response.status, body: await response.text() };
}

describe("the sidecar's own ports", () => {
  test("readiness says what is missing", async () => {
    assert.deepEqual(await get(ports.readiness, "/healthz/ready"), { code: 503, body: "no certificate yet\n" });
    missing = undefined;
    assert.equal((await get(ports.readiness, "/healthz/ready")).code, 200);
    assert.equal((await get(ports.status, "/healthz/ready")).code, 200);
  });

  test("metrics of proxy, agent and application on one page, each TYPE once", async () => {
    const { body } = await get(ports.status, "/stats/prometheus");
    for (const line of ["envoy_server_live{} 1", "app_total 5", "istio_agent_scrapes_total{} 1"]) {
      assert.ok(body.split("\n").includes(line), line);
    }
    assert.ok(!body.includes("# EOF"));
    const types = body.split("\n").filter((line) => line.startsWith("# TYPE"));
    assert.equal(new Set(types).size, types.length);
    const { body: proxyOnly } = await get(ports.prometheus, "/stats/prometheus");
    assert.ok(proxyOnly.includes("envoy_server_live{} 1"));
    assert.ok(!proxyOnly.includes("app_total"));
  });

  test("probes ask the application itself", async () => {
    assert.equal((await get(ports.status, "/app-health/app/readyz")).code, 200);
    assert.equal(seen?.headers.host, "api");
    assert.equal(seen?.headers["x-a"], "1");
    const failed = await get(ports.status, "/app-health/app/livez");
    assert.equal(failed.code, 503);
    assert.match(failed.body, /\/fails: HTTP 500/);
    assert.equal((await get(ports.status, "/app-health/app/startupz")).code, 200);
    assert.match((await get(ports.status, "/app-health/slow/livez")).body, /no answer in 200 ms/);
    assert.equal((await get(ports.status, "/app-health/tcp/livez")).code, 200);
    assert.match((await get(ports.status, "/app-health/tcp/readyz")).body, /ECONNREFUSED/);
    assert.equal((await get(ports.status, "/app-health/other/livez")).code, 404);
  });

  test("quitquitquit is POST only", async () => {
    assert.equal((await get(ports.status, "/quitquitquit")).code, 405);
    assert.equal((await get(ports.status, "/quitquitquit", "POST")).code, 200);
    assert.equal(quits, 1);
  });
});
