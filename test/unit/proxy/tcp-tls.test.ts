// TCP, TLS on both sides, sniffing, access by identity.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { connect as tlsConnect } from "node:tls";
import { RBAC } from "../../../src/proto/gen/envoy/extensions/filters/http/rbac/v3/rbac.ts";
import { Config as SetFilterState } from "../../../src/proto/gen/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state.ts";
import {
  DownstreamTlsContext,
  UpstreamTlsContext,
} from "../../../src/proto/gen/envoy/extensions/transport_sockets/tls/v3/tls.ts";
import type { SecretSource, SecretValue } from "../../../src/proxy/socket/secret.ts";
import { type Certified, certify } from "../pki.ts";
import {
  any,
  chain,
  cluster,
  httpFilter,
  httpListener,
  httpOrigin,
  listener,
  raw,
  routeAll,
  start,
  stat,
  tcpFilter,
  tcpOrigin,
} from "./harness.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

class Pki {
  readonly #ca: Certified;
  constructor(ca: Certified) {
    this.#ca = ca;
  }
  static async make(): Promise<Pki> {
    return new Pki(await certify({ subject: "O=test", isCa: true }));
  }
  get ca(): string {
    return this.#ca.pem;
  }
  async issue(uri: string): Promise<{ cert: string; key: string }> {
    const names = [{ type: "url", value: uri }] as const;
    const { pem, keyPem } = await certify({ subject: "CN=leaf", issuer: this.#ca, names });
    return { cert: pem, key: keyPem };
  }
}

class Secrets implements SecretSource {
  readonly #values = new Map<string, SecretValue>();
  readonly #runs = new Map<string, (() => void)[]>();
  get(name: string): SecretValue | undefined {
    return this.#values.get(name);
  }
  onChange(name: string, run: () => void): () => void {
    const runs = this.#runs.get(name) ?? [];
    runs.push(run);
    this.#runs.set(name, runs);
    return () => undefined;
  }
  set(name: string, value: SecretValue): void {
    this.#values.set(name, value);
    for (const run of this.#runs.get(name) ?? []) run();
  }
}

const FRONTEND = "spiffe://cluster.local/ns/production/sa/frontend";
const API = "spiffe://cluster.local/ns/production/sa/api";
const pki = await Pki.make();
const foreign = await Pki.make();
const api = await pki.issue(API);
const frontend = await pki.issue(FRONTEND);

function secretsOf(own: { cert: string; key: string }): Secrets {
  const secrets = new Secrets();
  secrets.set("default", { kind: "certificate", certificateChainPem: own.cert, privateKeyPem: own.key });
  secrets.set("ROOTCA", { kind: "trust", bundlePem: pki.ca, crlPem: undefined });
  return secrets;
}

const common = { tlsCertificateSdsSecretConfigs: [{ name: "default" }] };

function downstream(alpnProtocols: string[]): Record<string, unknown> {
  const context = DownstreamTlsContext.fromJSON({
    requireClientCertificate: true,
    commonTlsContext: { ...common, alpnProtocols, validationContextSdsSecretConfig: { name: "ROOTCA" } },
  });
  return {
    name: "tls",
    context: any(
      "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
      DownstreamTlsContext.encode(context).finish(),
    ),
  };
}

function tlsChain(
  filter: Parameters<typeof chain>[0],
  match: Record<string, unknown>,
  alpn: string[],
): ReturnType<typeof chain> {
  const made = chain(filter, { filterChainMatch: match });
  const socket = downstream(alpn);
  const value = socket["context"];
  made.transportSocket = {
    name: "tls",
    configType: { $case: "typedConfig", value: isAny(value) ? value : { typeUrl: "", value: Buffer.alloc(0) } },
  };
  return made;
}

function isAny(value: unknown): value is { typeUrl: string; value: Buffer } {
  return typeof value === "object" && value !== null && "typeUrl" in value;
}

function mtlsCluster(name: string, port: number, san: string): ReturnType<typeof cluster> {
  const context = UpstreamTlsContext.fromJSON({
    sni: "outbound_.80_._.api",
    commonTlsContext: {
      ...common,
      alpnProtocols: ["istio"],
      combinedValidationContext: {
        defaultValidationContext: { matchTypedSubjectAltNames: [{ sanType: "URI", matcher: { exact: san } }] },
        validationContextSdsSecretConfig: { name: "ROOTCA" },
      },
    },
  });
  const made = cluster(name, [port]);
  made.transportSocket = {
    name: "tls",
    configType: {
      $case: "typedConfig",
      value: any(
        "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        UpstreamTlsContext.encode(context).finish(),
      ),
    },
  };
  return made;
}

const INSPECTORS = {
  listenerFilters: [
    {
      name: "tls",
      typedConfig: {
        typeUrl: "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
        value: "",
      },
    },
    {
      name: "http",
      typedConfig: {
        typeUrl: "type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector",
        value: "",
      },
    },
  ],
  listenerFiltersTimeout: "0s",
};

const setAlpn = {
  name: "envoy.filters.http.set_filter_state",
  typeUrl: "envoy.extensions.filters.http.set_filter_state.v3.Config",
  bytes: SetFilterState.encode(
    SetFilterState.fromJSON({
      onRequestHeaders: [
        {
          objectKey: "envoy.network.application_protocols",
          formatString: { textFormatSource: { inlineString: "istio-http/1.1,istio,http/1.1" } },
          sharedWithUpstream: "ONCE",
        },
      ],
    }),
  ).finish(),
};

const rbac = {
  name: "envoy.filters.http.rbac",
  typeUrl: "envoy.extensions.filters.http.rbac.v3.RBAC",
  bytes: RBAC.encode(
    RBAC.fromJSON({
      rules: {
        action: "ALLOW",
        policies: {
          "ns[production]-policy[api]-rule[0]": {
            permissions: [
              {
                andRules: {
                  rules: [
                    { header: { name: ":method", stringMatch: { exact: "GET" } } },
                    { urlPath: { path: { prefix: "/api/" } } },
                  ],
                },
              },
            ],
            principals: [{ authenticated: { principalName: { exact: FRONTEND } } }],
          },
        },
      },
    }),
  ).finish(),
};

/** Two sidecars: what `frontend` sends to the returned port crosses mTLS to the inbound listener of `api`. */
async function pair(origin: number, tcpBehind: number) {
  const inbound = listener(
    [
      tlsChain(
        httpFilter({
          virtualHosts: [routeAll("app")],
          filters: [rbac],
          hcm: {
            forwardClientCertDetails: "APPEND_FORWARD",
            setCurrentClientCertDetails: { subject: true, dns: true, uri: true },
          },
        }),
        { transportProtocol: "tls", applicationProtocols: ["istio-http/1.0", "istio-http/1.1"] },
        ["istio-http/1.1", "istio-http/1.0", "istio"],
      ),
      tlsChain(tcpFilter("tcp"), { transportProtocol: "tls" }, ["istio"]),
    ],
    { ...INSPECTORS, name: "inbound", trafficDirection: "INBOUND" },
  );
  const apiSecrets = secretsOf(api);
  const server = await start(
    { listeners: [inbound], clusters: [cluster("app", [origin]), cluster("tcp", [tcpBehind])] },
    { secrets: apiSecrets },
  );
  const outbound = listener(
    [
      chain(httpFilter({ virtualHosts: [routeAll("api")], filters: [setAlpn] }), {
        filterChainMatch: { applicationProtocols: ["http/1.1", "http/1.0"] },
      }),
    ],
    { ...INSPECTORS, name: "outbound" },
  );
  outbound.defaultFilterChain = chain(tcpFilter("api"));
  const clientSecrets = secretsOf(frontend);
  const client = await start(
    {
      listeners: [outbound],
      clusters: [mtlsCluster("api", server.port, API), mtlsCluster("other", server.port, FRONTEND)],
    },
    { secrets: clientSecrets },
  );
  return { server, client, clientSecrets, apiSecrets };
}

test("HTTP crosses two sidecars over mTLS, allowed and denied by identity, method and path; TCP takes the other chain", async () => {
  let xfcc = "";
  const origin = await httpOrigin((request, response) => {
    xfcc = String(request.headers["x-forwarded-client-cert"]);
    response.end("from api");
  });
  const greeter = await tcpOrigin((socket) => {
    socket.write("220 welcome\r\n");
    socket.on("data", (bytes) => socket.write(`echo ${bytes}`));
    socket.on("end", () => socket.end("bye"));
  });
  const { client, server, clientSecrets, apiSecrets } = await pair(origin, greeter);
  const get = (line: string) => raw(client.port, `${line} HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n`);
  assert.match(await get("GET /api/orders"), /^HTTP\/1\.1 200 .*from api$/s);
  assert.match(
    xfcc,
    new RegExp(
      `^By=${API};Hash=[0-9a-f]{64};Subject="";URI=${FRONTEND}$|^By=${API};Hash=[0-9a-f]{64};Subject="CN=leaf";URI=${FRONTEND}$`,
    ),
  );
  const denied = await get("DELETE /api/orders");
  assert.match(denied, /^HTTP\/1\.1 403 .*RBAC: access denied$/s);
  assert.match(await get("GET /admin"), /^HTTP\/1\.1 403/);
  assert.equal(stat(server.registry, "http.test.rbac.allowed"), 1);
  assert.equal(stat(server.registry, "http.test.rbac.denied"), 2);
  const began = performance.now();
  const greeting = await raw(client.port, "", "welcome");
  assert.match(greeting, /220 welcome/);
  assert.ok(performance.now() - began < 150);
  // New certificates take over without a request lost.
  clientSecrets.set("default", {
    kind: "certificate",
    certificateChainPem: frontend.cert,
    privateKeyPem: frontend.key,
  });
  apiSecrets.set("default", { kind: "certificate", certificateChainPem: api.cert, privateKeyPem: api.key });
  assert.match(await get("GET /api/orders"), /^HTTP\/1\.1 200 /);
});

test("new connections resume the session and keep the peer's identity; clients that leave in their handshake are let go", async () => {
  const origin = await httpOrigin((_request, response) => response.end("from api"));
  const { client, server } = await pair(origin, origin);
  const get = () => raw(client.port, "GET /api/x HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n");
  await get();
  const answers = await Promise.all(Array.from({ length: 8 }, get));
  for (const answer of answers) assert.match(answer, /^HTTP\/1\.1 200 /);
  assert.ok(stat(server.registry, "listener.127.0.0.1_0.ssl.session_reused") >= 1);
  assert.equal(stat(client.registry, "cluster.api.ssl.connection_error"), 0);
  const before = stat(server.registry, "listener.127.0.0.1_0.downstream_cx_active");
  await new Promise((resolve) => {
    const options = { rejectUnauthorized: false, ALPNProtocols: ["istio"], ...frontend };
    const leaving = tlsConnect({ host: "127.0.0.1", port: server.port, ...options }, () => {
      // Envoy's preference, whatever the client's order.
      assert.equal(leaving.getCipher().name, "TLS_AES_128_GCM_SHA256");
      leaving.destroy();
    });
    leaving.on("close", resolve);
  });
  for (let wait = 0; wait < 100; wait += 1) {
    if (stat(server.registry, "listener.127.0.0.1_0.downstream_cx_active") === before) break;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.equal(stat(server.registry, "listener.127.0.0.1_0.downstream_cx_active"), before);
});

test("plaintext, no certificate, a foreign one and a wrong name are refused", async () => {
  const origin = await httpOrigin((_request, response) => response.end("never"));
  const { client, server } = await pair(origin, origin);
  assert.equal(await raw(server.port, GET), "");
  const attempt = (options: Record<string, unknown>) =>
    new Promise<string>((resolve) => {
      const socket = tlsConnect({
        port: server.port,
        host: "127.0.0.1",
        rejectUnauthorized: false,
        ALPNProtocols: ["istio-http/1.1"],
        ...options,
      });
      socket.on("error", (error) => resolve(`error ${error.message}`));
      socket.on("close", () => resolve("closed"));
      socket.on("data", (bytes) => resolve(bytes.toString()));
      socket.on("secureConnect", () => socket.write(GET));
    });
  assert.doesNotMatch(await attempt({}), /HTTP/);
  const stranger = await foreign.issue(FRONTEND);
  assert.doesNotMatch(await attempt(stranger), /HTTP/);
  assert.match(await attempt(frontend), /HTTP\/1\.1 403/);
  assert.ok(stat(server.registry, `listener.127.0.0.1_0.ssl.fail_verify_error`) >= 1);
  assert.ok(stat(server.registry, `listener.127.0.0.1_0.ssl.fail_verify_no_cert`) >= 0);
  assert.ok(client.port > 0);
});

test("TCP: half-close passes both ways, and a large transfer arrives whole", async () => {
  const origin = await tcpOrigin((socket) => {
    let count = 0;
    socket.on("data", (bytes) => {
      count += bytes.length;
    });
    socket.on("end", () => socket.end(`got ${count}`));
  });
  const { port } = await start({ listeners: [listener([chain(tcpFilter("t"))])], clusters: [cluster("t", [origin])] });
  const answer = await new Promise<string>((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    let got = "";
    socket.on("data", (bytes) => {
      got += bytes;
    });
    socket.on("end", () => {
      socket.end();
      resolve(got);
    });
    socket.end(Buffer.alloc(5_000_000, 1));
  });
  assert.equal(answer, "got 5000000");
});

test("a server that speaks first is heard through a sniffing listener, and HTTP still is HTTP", async () => {
  const greeter = await tcpOrigin((socket) => {
    socket.write("hello first");
  });
  const web = await httpOrigin((_request, response) => response.end("web"));
  const made = listener(
    [
      chain(httpFilter({ virtualHosts: [routeAll("web")] }), {
        filterChainMatch: { applicationProtocols: ["http/1.1"] },
      }),
    ],
    INSPECTORS,
  );
  made.defaultFilterChain = chain(tcpFilter("greeter"));
  const { port } = await start({ listeners: [made], clusters: [cluster("web", [web]), cluster("greeter", [greeter])] });
  assert.equal(await raw(port, "", "first"), "hello first");
  assert.match(await raw(port, GET), /web$/);
  assert.equal(await raw(port, "\x00\x01binary", "first"), "hello first");
});

test("an HTTP client that is slow to speak is served, whatever became of the TCP upstream meanwhile", async () => {
  const refuser = await tcpOrigin((socket) => socket.destroy());
  const web = await httpOrigin((_request, response) => response.end("web"));
  const http = chain(httpFilter({ virtualHosts: [routeAll("web")] }), {
    filterChainMatch: { applicationProtocols: ["http/1.1"] },
  });
  const made = listener([http], INSPECTORS);
  made.defaultFilterChain = chain(tcpFilter("refuser"));
  const { port } = await start({ listeners: [made], clusters: [cluster("web", [web]), cluster("refuser", [refuser])] });
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" });
    let got = "";
    socket.on("data", (bytes) => {
      got += bytes;
    });
    socket.on("error", reject);
    socket.on("end", () => resolve(got));
    setTimeout(() => socket.write(GET), 100);
  });
  assert.match(answer, /web$/);
});

test("an unknown field or extension is refused by path and type", async () => {
  const bad = httpListener({ virtualHosts: [routeAll("a")], hcm: { scopedRoutes: undefined, addUserAgent: true } });
  await assert.rejects(
    start({ listeners: [bad], clusters: [cluster("a", [1], { lbPolicy: "CLUSTER_PROVIDED" })] }),
    (error: Error) => {
      assert.match(
        error.message,
        /main: filter_chains\[0\]\.filters\[0\]\.typed_config\.add_user_agent: .*HttpConnectionManager/,
      );
      assert.match(error.message, /a: lb_policy: /);
      return true;
    },
  );
});
