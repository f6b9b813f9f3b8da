// Tokens and external authorizers, end to end: resources by the API, the control plane's stream, the real proxy in front of a workload.

import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { describe, it, type TestContext } from "node:test";
import tls from "node:tls";
import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { LocalSecrets } from "../../../src/agent/secrets.ts";
import { requestAuthenticationKind } from "../../../src/api/istio/request-authentication.ts";
import { generateKey, privateKeyToPem } from "../../../src/identity/key.ts";
import { explicitServerName } from "../../../src/translate/names.ts";
import { startMesh, type TestMesh, until } from "./mesh.ts";
import { startAdsProxy } from "./proxy.ts";

/** A pod of the explicit mode: its sidecar's ports are on its own address. */
const POD = "127.84.0.7";
const AUTHORIZER = "127.84.0.8";
const ISSUER = "https://issuer.example.com";

function workload(name: string, address: string, port: number): string {
  return `
apiVersion: v1
kind: Pod
metadata: {name: ${name}-1, namespace: production, labels: {app: ${name}}}
spec: {serviceAccountName: default, containers: [{name: ${name}, image: ${name}}]}
status: {podIP: ${address}, phase: Running}
---
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: production}
spec: {selector: {app: ${name}}, clusterIP: None, ports: [{name: http, port: ${port}, targetPort: ${port}}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}-1, namespace: production, labels: {kubernetes.io/service-name: ${name}}}
addressType: IPv4
ports: [{name: http, port: ${port}, protocol: TCP}]
endpoints: [{addresses: [${address}], conditions: {ready: true}}]`;
}

const WORLD = [
  ...["production", "istio-system"].map((name) => `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}}`),
  workload("api", POD, 8080),
  workload("authz", AUTHORIZER, 8000),
].join("\n---\n");

async function certify(mesh: TestMesh, serviceAccount: string) {
  const key = generateKey();
  const cert = await mesh.authority.sign({
    publicKeyDer: new Uint8Array(createPublicKey(key).export({ type: "spki", format: "der" })),
    names: [{ type: "url", value: `spiffe://cluster.local/ns/production/sa/${serviceAccount}` }],
    lifetimeMs: 3_600_000,
  });
  return { key: privateKeyToPem(key), cert };
}

/** The sidecar of `api`, with its application behind it. */
async function startSidecar(context: TestContext, mesh: TestMesh): Promise<void> {
  await listen(context, { host: POD, port: 8080 }, (request, response) =>
    response.end(JSON.stringify(request.headers)),
  );
  const { key, cert } = await certify(mesh, "default");
  const secrets = new LocalSecrets();
  secrets.set("default", { kind: "certificate", privateKeyPem: key, certificateChainPem: cert });
  secrets.set("ROOTCA", { kind: "trust", bundlePem: mesh.authority.rootPem, crlPem: undefined });
  const proxy = await startAdsProxy({
    discoveryPort: mesh.control.plain?.port,
    id: `sidecar~${POD}~api-1.production~production.svc.cluster.local`,
    metadata: { NAMESPACE: "production", INTERCEPTION_MODE: "NONE", LABELS: { app: "api" } },
    secrets,
  });
  context.after(() => proxy.close());
}

async function listen(
  context: TestContext,
  at: { readonly host: string; readonly port: number },
  handle: http.RequestListener,
): Promise<number> {
  const server = http.createServer(handle);
  server.listen(at.port, at.host);
  await once(server, "listening");
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return address.port;
}

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** A call over the mesh's TLS, as another sidecar makes it. */
async function makeClient(mesh: TestMesh) {
  const { key, cert } = await certify(mesh, "client");
  return async (path: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> => {
    const socket = tls.connect({
      host: POD,
      port: 15_006,
      servername: explicitServerName(8080),
      ALPNProtocols: ["istio-http/1.1", "istio"],
      key,
      cert,
      ca: mesh.authority.rootPem,
      checkServerIdentity: () => undefined,
    });
    await once(socket, "secureConnect");
    try {
      return await new Promise<Answer>((resolve, reject) => {
        const options = { createConnection: () => socket, path, headers: { host: "api.production:8080", ...headers } };
        http
          .get(options, (response) => {
            let body = "";
            response.setEncoding("utf8").on("data", (text: string) => {
              body += text;
            });
            response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
          })
          .on("error", reject);
      });
    } finally {
      socket.destroy();
    }
  };
}

/** Until the proxy knows of the Service, its listener leads nowhere. */
function answers(call: (path: string) => Promise<Answer>): Promise<boolean> {
  return call("/").then(
    ({ status }) => status === 200,
    () => false,
  );
}

interface Issuer {
  readonly jwk: JWK;
  token(claims: Readonly<Record<string, unknown>>): Promise<string>;
}

async function makeIssuer(kid: string): Promise<Issuer> {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  return {
    jwk: { ...(await exportJWK(publicKey)), kid, alg: "ES256", use: "sig" },
    token: (claims) =>
      new SignJWT({ sub: "ada", ...claims })
        .setProtectedHeader({ alg: "ES256", kid })
        .setIssuer(ISSUER)
        .setExpirationTime("1h")
        .sign(privateKey),
  };
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe("access to a workload", () => {
  it("is by tokens whose keys are fetched by URI; without the keys none passes", async (context) => {
    const mesh = await startMesh(context);
    await mesh.apply(WORLD);
    const issuer = await makeIssuer("one");
    const stranger = await makeIssuer("one");
    let isUp = false;
    const port = await listen(context, { host: "127.0.0.1", port: 0 }, (_request, response) => {
      response.writeHead(isUp ? 200 : 500).end(JSON.stringify({ keys: [issuer.jwk] }));
    });
    await startSidecar(context, mesh);
    const call = await makeClient(mesh);
    await until("the application answers", () => answers(call));

    await mesh.apply(`
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: production}
spec:
  selector: {matchLabels: {app: api}}
  jwtRules:
  - issuer: ${ISSUER}
    jwksUri: http://127.0.0.1:${port}/keys
    outputClaimToHeaders: [{header: x-user, claim: sub}]`);
    const good = await issuer.token({ groups: ["admin"] });
    // Until the keys are there nobody can tell a good token from a bad one: none is let through.
    await until("a token is refused without keys", async () => (await call("/", bearer(good))).status === 401);
    assert.equal((await call("/")).status, 200, "a request without a token passes");
    await until("the status says why", async () => {
      const read = await mesh.client.get(requestAuthenticationKind, { namespace: "production", name: "tokens" });
      const found = read.ok ? read.value.status?.conditions?.find(({ type }) => type === "ResolvedRefs") : undefined;
      return found?.status === "False" && found.message.includes("answered 500");
    });

    isUp = true;
    await until("a good token passes", async () => (await call("/", bearer(good))).status === 200);
    const passed = await call("/", bearer(good));
    assert.match(passed.body, /"x-user":"ada"/);
    assert.doesNotMatch(passed.body, /authorization/, "the token itself is not forwarded");
    const bad = await call("/", bearer(await stranger.token({})));
    assert.equal(bad.status, 401);

    await mesh.apply(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: admins, namespace: production}
spec:
  selector: {matchLabels: {app: api}}
  rules:
  - from: [{source: {requestPrincipals: ["${ISSUER}/*"]}}]
    when: [{key: "request.auth.claims[groups]", values: [admin]}]`);
    await until("a request without a token is refused", async () => (await call("/")).status === 403);
    assert.equal((await call("/", bearer(good))).status, 200);
    assert.equal((await call("/", bearer(await issuer.token({ groups: ["guest"] })))).status, 403);
  });

  it("is what an external authorizer says of the requests that a CUSTOM policy names", async (context) => {
    const mesh = await startMesh(context);
    await mesh.apply(WORLD);
    const asked: string[] = [];
    await listen(context, { host: AUTHORIZER, port: 8000 }, (request, response) => {
      asked.push(`${request.url} ${String(request.headers["x-user"])}`);
      const allowed = request.headers["x-user"] === "ada";
      response.writeHead(allowed ? 200 : 403, { "x-decided-by": "authz" }).end(allowed ? "" : "ask your admin");
    });
    await startSidecar(context, mesh);
    const call = await makeClient(mesh);
    await until("the application answers", () => answers(call));
    await mesh.apply(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ask, namespace: production}
spec:
  selector: {matchLabels: {app: api}}
  action: CUSTOM
  provider: {name: my-authz}
  rules: [{to: [{operation: {paths: ["/admin/*"]}}]}]`);
    await until("what can't be asked about is refused", async () => (await call("/admin/x")).status === 403);
    assert.equal((await call("/public")).status, 200);
    assert.deepEqual(asked, []);

    await mesh.apply(`
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    extensionProviders:
    - name: my-authz
      envoyExtAuthzHttp:
        service: authz.production.svc.cluster.local
        port: 8000
        includeRequestHeadersInCheck: [x-user]
        headersToUpstreamOnAllow: [x-decided-by]
        headersToDownstreamOnDeny: [x-decided-by]`);
    await until("the authorizer is asked", async () => (await call("/admin/x", { "x-user": "ada" })).status === 200);
    const denied = await call("/admin/x", { "x-user": "bob" });
    assert.equal(denied.status, 403);
    assert.equal(denied.body, "ask your admin");
    assert.equal(denied.headers["x-decided-by"], "authz");
    const allowed = await call("/admin/x", { "x-user": "ada" });
    assert.match(allowed.body, /"x-decided-by":"authz"/);
    const before = asked.length;
    assert.equal((await call("/public", { "x-user": "bob" })).status, 200);
    assert.equal(asked.length, before, "nobody asks about what the policy doesn't name");
  });
});
