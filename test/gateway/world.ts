// A gateway with everything real: API server, control plane, a proxy fed by it on loopback, and an origin behind it.

import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import { type AddressInfo, createServer } from "node:net";
import os from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import tls from "node:tls";
import { LocalSecrets } from "../../src/agent/secrets.ts";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { ok } from "../../src/base/result.ts";
import { type Authority, openAuthority } from "../../src/ca/authority.ts";
import { generateKey, privateKeyToPem } from "../../src/identity/key.ts";
import { Registry } from "../../src/observe/metrics.ts";
import { Bootstrap } from "../../src/proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import { Node } from "../../src/proto/gen/envoy/config/core/v3/base.ts";
import { type RunningProxy, startProxy } from "../../src/proxy/run/proxy.ts";
import type { SecretSource } from "../../src/proxy/socket/secret.ts";
import { makeAdsSource } from "../../src/proxy/subscribe/ads.ts";
import { startMesh, type TestMesh } from "../unit/control/mesh.ts";

export const LOOPBACK = "127.0.0.1";

export interface Certificate {
  readonly chain: string;
  readonly key: string;
}

/** An authority of the outside world: its certificates are for DNS names. */
export interface Edge {
  readonly rootPem: string;
  issue(...names: readonly string[]): Promise<Certificate>;
}

export async function openEdge(context: TestContext): Promise<Edge> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "weft-edge-"));
  context.after(() => fs.rmSync(directory, { recursive: true, force: true }));
  const opened = await openAuthority({ directory, trustDomain: "edge.example", clock: systemClock });
  assert.ok(opened.ok, opened.ok ? "" : opened.error);
  const authority: Authority = opened.value;
  return {
    rootPem: authority.rootPem,
    issue: async (...names) => {
      const key = generateKey();
      const publicKeyDer = Uint8Array.from(createPublicKey(key).export({ type: "spki", format: "der" }));
      const wanted = names.map((value) => ({ type: "dns", value }) as const);
      const chain = await authority.sign({ publicKeyDer, names: wanted, lifetimeMs: 3_600_000 });
      return { chain, key: privateKeyToPem(key) };
    },
  };
}

export function secret(name: string, certificate: Certificate, more: Readonly<Record<string, string>> = {}): string {
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const data = { "tls.crt": certificate.chain, "tls.key": certificate.key, ...more };
  const lines = Object.entries(data).map(([key, text]) => `  ${key}: ${base64(text)}`);
  return `
apiVersion: v1
kind: Secret
metadata: {name: ${name}, namespace: edge}
type: kubernetes.io/tls
data:
${lines.join("\n")}
`;
}

export interface GatewayWorld {
  readonly mesh: TestMesh;
  /** The number behind what the manifests call by a name. */
  port(name: string): number;
  apply(manifests: string): Promise<void>;
  /** Starts the gateway; resolves once it is ready. */
  connect(): Promise<void>;
}

/** What runs the gateway's configuration. */
export interface Engine {
  readonly name: "weft" | "envoy";
  start(context: TestContext, mesh: TestMesh): Promise<void>;
}

export interface Scenario {
  readonly name: string;
  run(context: TestContext, engine: Engine): Promise<void>;
}

/** `names`: ports that the manifests write as `$name`. An HTTP origin that says who asked is Service `production/web`. */
export async function gatewayWorld(
  context: TestContext,
  engine: Engine,
  names: readonly string[],
): Promise<GatewayWorld> {
  const mesh = await startMesh(context);
  const origin = await startOrigin(context);
  const ports = new Map<string, number>();
  for (const name of names) ports.set(name, await freePort());
  const port = (name: string): number => {
    const number = ports.get(name);
    assert.ok(number !== undefined, `no port ${name}`);
    return number;
  };
  const apply = (manifests: string): Promise<void> =>
    mesh.apply(manifests.replace(/\$([a-z]+)/g, (_all, name: string) => String(port(name))));
  await mesh.apply(BASE.replaceAll("ORIGIN", String(origin)));
  return {
    mesh,
    port,
    apply,
    connect: () => engine.start(context, mesh),
  };
}

const BASE = `
apiVersion: v1
kind: Namespace
metadata: {name: edge}
---
apiVersion: v1
kind: Namespace
metadata: {name: production}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: ingress, namespace: edge}
---
apiVersion: v1
kind: Pod
metadata: {name: ingress-1, namespace: edge, labels: {istio: ingressgateway}}
spec: {serviceAccountName: ingress, containers: [{name: istio-proxy, image: auto}]}
status: {podIP: 127.0.0.1, phase: Running}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: production}
spec: {ports: [{name: http, port: 80, targetPort: ORIGIN}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: production, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: ORIGIN, protocol: TCP}]
endpoints: [{addresses: [127.0.0.1], conditions: {ready: true}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: plain, namespace: production}
spec: {host: "*.production.svc.cluster.local", trafficPolicy: {tls: {mode: DISABLE}}}
`;

/** One proxy in front of it is trusted. */
export const NODE = {
  id: `router~${LOOPBACK}~ingress-1.edge~edge.svc.cluster.local`,
  metadata: {
    LABELS: { istio: "ingressgateway" },
    NAMESPACE: "edge",
    INTERCEPTION_MODE: "NONE",
    PROXY_CONFIG: { gatewayTopology: { numTrustedProxies: 1 } },
  },
};

/** Of the gateway's own account. */
export function gatewayToken(mesh: TestMesh): Promise<string> {
  return tokenOf(mesh, { namespace: "edge", serviceAccount: "ingress" });
}

interface Account {
  readonly namespace: string;
  readonly serviceAccount: string;
}

async function tokenOf(mesh: TestMesh, account: Account): Promise<string> {
  const token = await mesh.client.createToken({ ...account, audiences: ["istio-ca"], expirationSeconds: 3_600 });
  assert.ok(token.ok, token.ok ? "" : token.error.message);
  return token.value;
}

export const weft: Engine = {
  name: "weft",
  start: async (context, mesh) => {
    const proxy = startWeft(mesh, { node: NODE, token: await gatewayToken(mesh), secrets: undefined });
    context.after(() => proxy.close());
    await proxy.ready;
    assert.deepEqual(proxy.view.heldUp(), []);
  },
};

export interface Member extends Account {
  readonly type: "sidecar" | "router";
  readonly pod: string;
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** With a certificate of the mesh, in explicit mode. */
export async function startMember(context: TestContext, mesh: TestMesh, member: Member): Promise<RunningProxy> {
  const { type, pod, namespace, serviceAccount, address, labels } = member;
  const key = generateKey();
  const publicKeyDer = Uint8Array.from(createPublicKey(key).export({ type: "spki", format: "der" }));
  const value = `spiffe://cluster.local/ns/${namespace}/sa/${serviceAccount}`;
  const names = [{ type: "url", value }] as const;
  const certificateChainPem = await mesh.authority.sign({ publicKeyDer, names, lifetimeMs: 3_600_000 });
  const secrets = new LocalSecrets();
  secrets.set("default", { kind: "certificate", certificateChainPem, privateKeyPem: privateKeyToPem(key) });
  secrets.set("ROOTCA", { kind: "trust", bundlePem: mesh.authority.rootPem, crlPem: undefined });
  const node = {
    id: `${type}~${address}~${pod}.${namespace}~${namespace}.svc.cluster.local`,
    metadata: { LABELS: labels, NAMESPACE: namespace, INTERCEPTION_MODE: "NONE" },
  };
  const proxy = startWeft(mesh, { node, token: await tokenOf(mesh, { namespace, serviceAccount }), secrets });
  context.after(() => proxy.close());
  await proxy.ready;
  return proxy;
}

interface Started {
  readonly node: { readonly id: string; readonly metadata: Record<string, unknown> };
  readonly token: string;
  readonly secrets: SecretSource | undefined;
}

function startWeft(mesh: TestMesh, { node, token, secrets }: Started): RunningProxy {
  const source = makeAdsSource({
    target: `${LOOPBACK}:${mesh.control.secure.port}`,
    tls: {
      rootPem: () => ok(mesh.authority.rootPem),
      serverName: "istiod.istio-system.svc",
      secrets: undefined,
      token: () => token,
    },
    node: Node.fromPartial({ ...node, userAgentName: "weft" }),
    variant: "delta",
    wildcards: new Set(["cluster", "listener"]),
    clock: systemClock,
    random: seededRandom(1),
  });
  return startProxy({
    bootstrap: Bootstrap.fromPartial({}),
    source,
    localSecrets: secrets,
    clock: systemClock,
    random: seededRandom(2),
    registry: new Registry(),
  });
}

export async function startOrigin(context: TestContext): Promise<number> {
  const server = http.createServer((request, response) => {
    response.setHeader("x-origin", "web");
    response.end(JSON.stringify(request.headers));
  });
  await new Promise<void>((resolve) => server.listen(0, LOOPBACK, resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return portOf(server.address());
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, LOOPBACK, resolve));
  const port = portOf(server.address());
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function portOf(address: string | AddressInfo | null): number {
  assert.ok(typeof address === "object" && address !== null);
  return address.port;
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export interface Asking {
  /** 127.0.0.1 where it isn't said. */
  readonly address?: string;
  readonly port: number;
  readonly host: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Over TLS, by this server name, trusting this root. */
  readonly secure?: { readonly serverName: string; readonly root: string; readonly certificate?: Certificate };
  /** To go over a connection that is there. */
  readonly over?: tls.TLSSocket;
}

export function ask(asking: Asking): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const open = () =>
      asking.over ?? (asking.secure === undefined ? undefined : dial(asking.port, asking.secure, asking.address));
    const socket = open();
    socket?.on("error", reject);
    const request = http.request({
      host: asking.address ?? LOOPBACK,
      port: asking.port,
      path: asking.path ?? "/",
      headers: { host: asking.host, connection: asking.over === undefined ? "close" : "keep-alive", ...asking.headers },
      ...(socket === undefined ? { agent: false } : { createConnection: () => socket }),
    });
    request.on("error", reject);
    request.on("response", (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    request.end();
  });
}

/** False also where it isn't reached: the first snapshot with the manifests may come after the proxy's start. */
export function answers(asking: Asking, status = 200): Promise<boolean> {
  return ask(asking).then(
    (answer) => answer.status === status,
    () => false,
  );
}

export function dial(port: number, secure: NonNullable<Asking["secure"]>, host = LOOPBACK): tls.TLSSocket {
  const { certificate } = secure;
  return tls.connect({
    host,
    port,
    servername: secure.serverName,
    ca: secure.root,
    ...(certificate === undefined ? {} : { cert: certificate.chain, key: certificate.key }),
  });
}

/** The certificate's names that a TLS client of that server name is shown. */
export async function shownNames(socket: tls.TLSSocket): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    socket.once("secureConnect", resolve);
    socket.once("error", reject);
  });
  return socket.getPeerX509Certificate()?.subjectAltName ?? "";
}
