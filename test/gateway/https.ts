// TLS at a gateway: credentials by SDS, client certificates, 421, server names.

import assert from "node:assert/strict";
import tls from "node:tls";
import { gatewayKind } from "../../src/api/istio/gateway.ts";
import { isRecord } from "../../src/base/json.ts";
import { until } from "../unit/control/mesh.ts";
import { answers, ask, dial, gatewayWorld, LOOPBACK, openEdge, type Scenario, secret, shownNames } from "./world.ts";

const SERVERS = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: $https, name: https, protocol: HTTPS}
    hosts: ["*.example.com"]
    tls: {mode: SIMPLE, credentialName: web}
  - port: {number: $https, name: https-admin, protocol: HTTPS}
    hosts: [admin.example.com]
    tls: {mode: MUTUAL, credentialName: admin}
  - port: {number: $https, name: https-late, protocol: HTTPS}
    hosts: [late.example.org]
    tls: {mode: SIMPLE, credentialName: late}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: production}
spec:
  hosts: ["*.example.com", late.example.org]
  gateways: [edge/web]
  http:
  - route: [{destination: {host: web}}]
`;

const own: Scenario = {
  name: "HTTPS: each server presents its credential, asks for a certificate where it must, and answers 421 for the others' hosts",
  run: async (t, engine) => {
    const edge = await openEdge(t);
    const world = await gatewayWorld(t, engine, ["https"]);
    const client = await edge.issue("operator.example.com");
    await world.apply(secret("web", await edge.issue("*.example.com")));
    await world.apply(secret("admin", await edge.issue("admin.example.com"), { "ca.crt": edge.rootPem }));
    await world.apply(SERVERS);
    await world.connect();
    const port = world.port("https");
    const root = edge.rootPem;

    await until("the route is there", async () => {
      const secure = { serverName: "api.example.com", root };
      return answers({ port, host: "api.example.com", secure });
    });
    assert.equal(await shownNames(dial(port, { serverName: "api.example.com", root })), "DNS:*.example.com");
    assert.equal(
      await shownNames(dial(port, { serverName: "admin.example.com", root, certificate: client })),
      "DNS:admin.example.com",
    );

    const admin = { port, host: "admin.example.com" };
    await assert.rejects(ask({ ...admin, secure: { serverName: "admin.example.com", root } }), "without a certificate");
    const known = await ask({ ...admin, secure: { serverName: "admin.example.com", root, certificate: client } });
    assert.equal(known.status, 200);
    assert.match(
      known.body,
      /"x-forwarded-client-cert":".*DNS=operator\.example\.com/,
      "the origin is told whose certificate it was",
    );

    // The wildcard's certificate covers admin too, so a browser would reuse its connection, past the certificate it should show.
    const reused = dial(port, { serverName: "api.example.com", root });
    const first = await ask({ port, host: "api.example.com", over: reused });
    assert.equal(first.status, 200);
    const misdirected = await ask({ port, host: "admin.example.com", over: reused });
    assert.equal(misdirected.status, 421);
    assert.match(misdirected.body, /Open a new connection/);
    assert.equal((await ask({ port, host: "b.example.com", over: reused })).status, 200, "the connection goes on");
    reused.destroy();
  },
};

const missing: Scenario = {
  name: "a missing credential holds up nothing but its own server, is told in the status, and serves once it is there",
  run: async (t, engine) => {
    const edge = await openEdge(t);
    const world = await gatewayWorld(t, engine, ["https"]);
    const root = edge.rootPem;
    await world.apply(secret("web", await edge.issue("*.example.com")));
    await world.apply(secret("admin", await edge.issue("admin.example.com"), { "ca.crt": edge.rootPem }));
    await world.apply(SERVERS);
    await world.connect();
    const port = world.port("https");
    await until("others serve", async () => {
      const secure = { serverName: "api.example.com", root };
      return answers({ port, host: "api.example.com", secure });
    });
    const late = { port, host: "late.example.org", secure: { serverName: "late.example.org", root } };
    await assert.rejects(ask(late));
    const resolved = async () => {
      const found = await world.mesh.client.get(gatewayKind, { namespace: "edge", name: "web" });
      const status: unknown = found.ok ? Reflect.get(found.value, "status") : undefined;
      const conditions = isRecord(status) && Array.isArray(status["conditions"]) ? status["conditions"] : [];
      return conditions.find((each) => isRecord(each) && each["type"] === "ResolvedRefs");
    };
    await until("the status says so", async () => {
      const condition: unknown = await resolved();
      return /servers\[2\]\.tls\.credentialName: Secret edge\/late.*does not exist/.test(JSON.stringify(condition));
    });
    await world.apply(secret("late", await edge.issue("late.example.org")));
    await until("it serves", () => answers(late));
    await until("the status says that too", async () => /"status":"True"/.test(JSON.stringify(await resolved())));
  },
};

const renewed: Scenario = {
  name: "a renewed credential is shown to new connections, and those that stand go on",
  run: async (t, engine) => {
    const edge = await openEdge(t);
    const world = await gatewayWorld(t, engine, ["https"]);
    const root = edge.rootPem;
    await world.apply(secret("web", await edge.issue("*.example.com", "first.example.com")));
    await world.apply(SERVERS);
    await world.connect();
    const port = world.port("https");
    const secure = { serverName: "api.example.com", root };
    await until("it serves", () => answers({ port, host: "api.example.com", secure }));
    const standing = dial(port, secure);
    assert.equal((await ask({ port, host: "api.example.com", over: standing })).status, 200);
    await world.apply(secret("web", await edge.issue("*.example.com", "second.example.com")));
    await until("the new one is shown", async () => /second/.test(await shownNames(dial(port, secure))));
    assert.equal((await ask({ port, host: "api.example.com", over: standing })).status, 200);
    standing.destroy();
  },
};

const passed: Scenario = {
  name: "TLS is passed through by its server name, and a name that nobody routes is not answered",
  run: async (t, engine) => {
    const edge = await openEdge(t);
    const world = await gatewayWorld(t, engine, ["tls"]);
    const own = await edge.issue("own.example.com");
    const server = tls.createServer({ cert: own.chain, key: own.key }, (socket) =>
      socket.end("from the origin itself"),
    );
    await new Promise<void>((resolve) => server.listen(0, LOOPBACK, resolve));
    t.after(() => server.close());
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    await world.apply(`
apiVersion: v1
kind: Service
metadata: {name: own, namespace: production}
spec: {ports: [{name: tls, port: 443, targetPort: ${address.port}}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: own-1, namespace: production, labels: {kubernetes.io/service-name: own}}
addressType: IPv4
ports: [{name: tls, port: ${address.port}, protocol: TCP}]
endpoints: [{addresses: [127.0.0.1], conditions: {ready: true}}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: $tls, name: tls, protocol: TLS}
    hosts: ["*.example.com"]
    tls: {mode: PASSTHROUGH}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: own, namespace: production}
spec:
  hosts: [own.example.com]
  gateways: [edge/web]
  tls:
  - match: [{sniHosts: [own.example.com]}]
    route: [{destination: {host: own, port: {number: 443}}}]
`);
    await world.connect();
    const port = world.port("tls");
    const read = async (serverName: string): Promise<string> => {
      const socket = dial(port, { serverName, root: edge.rootPem });
      let text = "";
      socket.setEncoding("utf8");
      socket.on("data", (chunk: string) => {
        text += chunk;
      });
      await new Promise<void>((resolve, reject) => {
        socket.on("end", resolve);
        socket.on("error", reject);
      });
      return text;
    };
    await until("it is passed on", () =>
      read("own.example.com").then(
        (text) => text === "from the origin itself",
        () => false,
      ),
    );
    assert.equal(await read("other.example.com").catch(() => ""), "");
  },
};

export const httpsScenarios: readonly Scenario[] = [own, missing, renewed, passed];
