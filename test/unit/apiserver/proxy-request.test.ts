// Requests that the API server hands on to what runs behind a Service or in a pod.

import assert from "node:assert/strict";
import http from "node:http";
import { type TestContext, test } from "node:test";
import { pod, startTestServer } from "./support/server.ts";

const SERVICES = "/api/v1/namespaces/default/services";

async function startPage(context: TestContext): Promise<number> {
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { authorization = "none", host } = request.headers;
      const seen = [request.method, request.url, host, authorization, Buffer.concat(chunks).toString()].join(" ");
      response.writeHead(request.url === "/teapot" ? 418 : 200, { "content-type": "text/plain", "x-page": "yes" });
      response.end(seen);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return address.port;
}

async function withService(context: TestContext) {
  const port = await startPage(context);
  const server = await startTestServer(context);
  const made = await server.call("POST", SERVICES, {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "pages" },
    spec: { ports: [{ name: "http", port: 80, targetPort: port }] },
  });
  assert.equal(made.code, 201);
  const slice = await server.call("POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "pages-1", labels: { "kubernetes.io/service-name": "pages" } },
    addressType: "IPv4",
    ports: [{ name: "http", port }],
    endpoints: [{ addresses: ["127.0.0.2"], conditions: { ready: false } }, { addresses: ["127.0.0.1"] }],
  });
  assert.equal(slice.code, 201);
  return server;
}

test("a service's port is reached by number, by name, or as the only one, with method, query and body", async (context) => {
  const server = await withService(context);
  for (const name of ["pages:80", "pages:http", "pages", "http:pages:80"]) {
    const got = await server.call("GET", `${SERVICES}/${name}/proxy/a/b?c=d`, undefined, { accept: "text/plain" });
    assert.deepEqual([got.code, got.body], [200, "GET /a/b?c=d pages none "], name);
    assert.equal(got.headers["x-page"], "yes");
  }
  const sent = await server.call("POST", `${SERVICES}/pages:80/proxy/x`, undefined, { raw: "hello" });
  assert.equal(sent.body, "POST /x pages none hello");
  assert.equal((await server.call("GET", `${SERVICES}/pages:80/proxy/teapot`)).code, 418);
});

test("what can't be reached says why, and nobody but the administrator may ask", async (context) => {
  const server = await withService(context);
  const wrongPort = await server.call("GET", `${SERVICES}/pages:81/proxy/`);
  assert.deepEqual([wrongPort.code, wrongPort.body.message], [400, "service pages has no port 81"]);
  assert.equal((await server.call("GET", `${SERVICES}/nobody:80/proxy/`)).code, 404);
  const empty = await server.call("POST", SERVICES, {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "empty" },
    spec: { ports: [{ port: 80 }] },
  });
  assert.equal(empty.code, 201);
  const none = await server.call("GET", `${SERVICES}/empty:80/proxy/`);
  assert.deepEqual([none.code, none.body.message], [503, 'no endpoints available for service "empty"']);
  assert.equal((await server.call("GET", `${SERVICES}/pages:80/proxy/`, undefined, { token: undefined })).code, 401);
});

test("a pod's port is reached from beside the pod, whatever it is bound on", async (context) => {
  const port = await startPage(context);
  const server = await startTestServer(context);
  await server.call("POST", "/api/v1/namespaces/default/pods", pod("a"));
  const got = await server.call("GET", `/api/v1/namespaces/default/pods/a:${port}/proxy/ready`);
  assert.deepEqual([got.code, got.body], [200, "GET /ready a none "]);
  assert.equal((await server.call("GET", "/api/v1/namespaces/default/pods/a:1/proxy/")).code, 502);
  assert.equal((await server.call("GET", "/api/v1/namespaces/default/pods/b:1/proxy/")).code, 404);
});
