// Bytes at a gateway: TCP, TLS that ends there and TLS that doesn't side by side, and one server with several certificates.

import assert from "node:assert/strict";
import net from "node:net";
import type { TestContext } from "node:test";
import tls from "node:tls";
import { until } from "../unit/control/mesh.ts";
import {
  answers,
  type Certificate,
  dial,
  gatewayWorld,
  LOOPBACK,
  openEdge,
  type Scenario,
  secret,
  shownNames,
} from "./world.ts";

/** A Service that leads to a port of this machine. */
function service(name: string, port: number): string {
  return `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: production}
spec: {ports: [{name: tcp, port: 9000, targetPort: ${port}}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}-1, namespace: production, labels: {kubernetes.io/service-name: ${name}}}
addressType: IPv4
ports: [{name: tcp, port: ${port}, protocol: TCP}]
endpoints: [{addresses: [127.0.0.1], conditions: {ready: true}}]
---
`;
}

async function greeter(context: TestContext, greeting: string, certificate?: Certificate): Promise<number> {
  const greet = (socket: net.Socket): void => {
    socket.on("error", () => socket.destroy());
    socket.end(greeting);
  };
  const server =
    certificate === undefined
      ? net.createServer(greet)
      : tls.createServer({ cert: certificate.chain, key: certificate.key }, greet);
  await new Promise<void>((resolve) => server.listen(0, LOOPBACK, resolve));
  context.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return address.port;
}

function readAll(socket: net.Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => {
      text += chunk;
    });
    socket.on("end", () => resolve(text));
    socket.on("error", reject);
  });
}

const bytes: Scenario = {
  name: "TCP goes where the rule says; on one port TLS ends for one name and is passed on for another",
  run: async (t, engine) => {
    const edge = await openEdge(t);
    const world = await gatewayWorld(t, engine, ["tcp", "tls"]);
    await world.apply(service("plain", await greeter(t, "from plain")));
    await world.apply(service("own", await greeter(t, "from its own TLS", await edge.issue("own.example.com"))));
    await world.apply(secret("bytes", await edge.issue("bytes.example.com")));
    await world.apply(`
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: bytes, namespace: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: $tcp, name: tcp, protocol: TCP}
    hosts: ["*"]
  - port: {number: $tls, name: tls, protocol: TLS}
    hosts: [bytes.example.com]
    tls: {mode: SIMPLE, credentialName: bytes}
  - port: {number: $tls, name: tls-own, protocol: TLS}
    hosts: ["*.example.com"]
    tls: {mode: PASSTHROUGH}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bytes, namespace: production}
spec:
  hosts: ["*"]
  gateways: [edge/bytes]
  tcp:
  - route: [{destination: {host: plain}}]
  tls:
  - match: [{sniHosts: [own.example.com]}]
    route: [{destination: {host: own}}]
`);
    await world.connect();
    await until("TCP is served", () =>
      readAll(net.connect(world.port("tcp"), LOOPBACK)).then(
        (text) => text === "from plain",
        () => false,
      ),
    );
    const over = (serverName: string) => readAll(dial(world.port("tls"), { serverName, root: edge.rootPem }));
    assert.equal(await over("bytes.example.com"), "from plain");
    assert.equal(await over("own.example.com"), "from its own TLS");
  },
};

const several: Scenario = {
  name: "of several credentials the one for the client's server name is presented",
  run: async (t, engine) => {
    const edge = await openEdge(t);
    const world = await gatewayWorld(t, engine, ["https"]);
    await world.apply(secret("first", await edge.issue("a.example.com")));
    await world.apply(secret("second", await edge.issue("b.example.com")));
    await world.apply(`
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: $https, name: https, protocol: HTTPS}
    hosts: ["*"]
    tls: {mode: SIMPLE, credentialNames: [first, second], minProtocolVersion: TLSV1_3}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: production}
spec: {hosts: ["*"], gateways: [edge/web], http: [{route: [{destination: {host: web}}]}]}
`);
    await world.connect();
    const port = world.port("https");
    const root = edge.rootPem;
    await until("it serves", () =>
      answers({ port, host: "a.example.com", secure: { serverName: "a.example.com", root } }),
    );
    assert.equal(await shownNames(dial(port, { serverName: "a.example.com", root })), "DNS:a.example.com");
    assert.equal(await shownNames(dial(port, { serverName: "b.example.com", root })), "DNS:b.example.com");
    const old = tls.connect({ host: LOOPBACK, port, servername: "a.example.com", ca: root, maxVersion: "TLSv1.2" });
    await assert.rejects(shownNames(old), "below the least version");
  },
};

export const layer4Scenarios: readonly Scenario[] = [bytes, several];
