// TLS contexts beyond the plain ones: several certificates, pins, strangers, names that must be given; and limits of connections.

import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { connect, type Socket } from "node:net";
import { before, test } from "node:test";
import { connect as tlsConnect } from "node:tls";
import type { FilterChain } from "../../../src/proto/gen/envoy/config/listener/v3/listener_components.ts";
import { ConnectionLimit } from "../../../src/proto/gen/envoy/extensions/filters/network/connection_limit/v3/connection_limit.ts";
import { DownstreamTlsContext } from "../../../src/proto/gen/envoy/extensions/transport_sockets/tls/v3/tls.ts";
import { Field } from "../../../src/proxy/compile/field.ts";
import { compileListener } from "../../../src/proxy/compile/listener.ts";
import { certify, type KeyKind, type Wanted } from "../pki.ts";
import {
  any,
  chain,
  cluster,
  httpFilter,
  httpOrigin,
  listener,
  routeAll,
  start,
  stat,
  tcpFilter,
  tcpOrigin,
} from "./harness.ts";

interface Pair {
  readonly cert: string;
  readonly key: string;
}

const pairs = new Map<string, Pair>();

/** Each signs itself: that is all that these tests ask of it. */
async function selfSigned(name: string, key: KeyKind, names: NonNullable<Wanted["names"]>): Promise<void> {
  const { pem, keyPem } = await certify({ subject: `CN=${name}`, key, names });
  pairs.set(name, { cert: pem, key: keyPem });
}

const dns = (value: string) => ({ type: "dns", value }) as const;
const uri = (value: string) => ({ type: "url", value }) as const;

function pair(name: string): Pair {
  const found = pairs.get(name);
  assert.ok(found !== undefined);
  return found;
}

before(async () => {
  await selfSigned("one", "P-256", [dns("one.test")]);
  await selfSigned("two", "P-256", [dns("*.two.test")]);
  await selfSigned("old", "RSA", [dns("old.test")]);
  await selfSigned("client", "P-256", [uri("spiffe://a/client"), dns("client.test")]);
  await selfSigned("stranger", "P-256", [uri("spiffe://a/stranger")]);
});

type Json = Record<string, unknown>;

function certificates(...names: readonly string[]): readonly Json[] {
  return names.map((name) => ({
    certificateChain: { inlineString: pair(name).cert },
    privateKey: { inlineString: pair(name).key },
  }));
}

function secured(filter: ReturnType<typeof tcpFilter>, common: Json, more: Json = {}): FilterChain {
  const made = chain(filter);
  const context = DownstreamTlsContext.fromJSON({ commonTlsContext: common, ...more });
  made.transportSocket = {
    name: "tls",
    configType: {
      $case: "typedConfig",
      value: any(
        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        DownstreamTlsContext.encode(context).finish(),
      ),
    },
  };
  return made;
}

interface Greeting {
  /** Common name of what the server showed; undefined: the handshake failed. */
  readonly shown: string | undefined;
  readonly answer: string;
}

/** A handshake and a request. */
function greet(
  port: number,
  options: { servername?: string; client?: string; sigalgs?: string; maxVersion?: "TLSv1.2" },
): Promise<Greeting> {
  const { client, ...rest } = options;
  return new Promise((resolve) => {
    const socket = tlsConnect({
      port,
      host: "127.0.0.1",
      rejectUnauthorized: false,
      ...rest,
      ...(client === undefined ? {} : pair(client)),
    });
    let answer = "";
    let shown: string | undefined;
    socket.setTimeout(2000, () => socket.destroy());
    socket.on("secureConnect", () => {
      shown = String(socket.getPeerCertificate().subject.CN);
      socket.write("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    });
    socket.on("data", (bytes) => {
      answer += bytes.toString();
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve({ shown, answer }));
  });
}

/** An origin that answers with its x-forwarded-client-cert. */
async function serve(common: Json, more: Json = {}, hcm: Json = {}) {
  const origin = await httpOrigin((request, response) =>
    response.end(String(request.headers["x-forwarded-client-cert"] ?? "none")),
  );
  const filter = httpFilter({ virtualHosts: [routeAll("origin")], hcm });
  return start({
    listeners: [listener([secured(filter, common, more)])],
    clusters: [cluster("origin", [origin])],
  });
}

test("of several certificates the server name chooses, and the kind of key that the client knows", async () => {
  const { port } = await serve({ tlsCertificates: certificates("one", "two", "old") });
  assert.equal((await greet(port, { servername: "one.test" })).shown, "one");
  assert.equal((await greet(port, { servername: "a.two.test" })).shown, "two");
  assert.equal((await greet(port, { servername: "old.test" })).shown, "old");
  assert.equal((await greet(port, { servername: "else.test" })).shown, "one");
  const rsaOnly = { servername: "else.test", sigalgs: "rsa_pss_rsae_sha256", maxVersion: "TLSv1.2" } as const;
  assert.equal((await greet(port, rsaOnly)).shown, "old");
});

test("a client that must name its server", async () => {
  const { port, registry } = await serve({ tlsCertificates: certificates("one") }, { requireSni: true });
  assert.equal((await greet(port, { servername: "one.test" })).shown, "one");
  assert.equal((await greet(port, {})).shown, undefined);
  assert.equal(stat(registry, "listener.127.0.0.1_0.ssl.no_sni"), 1);
});

function hashOf(name: string): string {
  return new X509Certificate(pair(name).cert).fingerprint256;
}

test("pinned by hash and by key", async () => {
  const spki = createHash("sha256")
    .update(new X509Certificate(pair("client").cert).publicKey.export({ type: "spki", format: "der" }))
    .digest("base64");
  for (const pins of [{ verifyCertificateHash: [hashOf("client")] }, { verifyCertificateSpki: [spki] }]) {
    const common = { tlsCertificates: certificates("one"), validationContext: pins };
    const { port, registry } = await serve(common, { requireClientCertificate: true });
    assert.match((await greet(port, { client: "client" })).answer, /200 OK/);
    assert.equal((await greet(port, { client: "stranger" })).answer, "");
    assert.equal(stat(registry, "listener.127.0.0.1_0.ssl.fail_verify_cert_hash"), 1);
  }
});

test("strangers are let in where the configuration says so, and remain unknown", async () => {
  const trusted = { trustedCa: { inlineString: pair("client").cert } };
  const hcm = { forwardClientCertDetails: "SANITIZE_SET", setCurrentClientCertDetails: { uri: true, dns: true } };
  const strict = await serve({ tlsCertificates: certificates("one"), validationContext: trusted }, {}, hcm);
  assert.equal((await greet(strict.port, { client: "stranger" })).answer, "");
  const open = { ...trusted, trustChainVerification: "ACCEPT_UNTRUSTED" };
  const { port } = await serve({ tlsCertificates: certificates("one"), validationContext: open }, {}, hcm);
  assert.match((await greet(port, { client: "stranger" })).answer, /none/);
  const hash = hashOf("client").replaceAll(":", "").toLowerCase();
  const known = (await greet(port, { client: "client" })).answer;
  assert.match(known, new RegExp(`Hash=${hash};URI=spiffe://a/client;DNS=client.test`));
});

test("a list of ciphers leaves TLS 1.3 alone, and is refused where a name is unknown", async () => {
  const tlsParams = { cipherSuites: ["[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]"] };
  const { port } = await serve({ tlsCertificates: certificates("one"), tlsParams });
  assert.equal((await greet(port, {})).shown, "one");
  assert.equal((await greet(port, { maxVersion: "TLSv1.2" })).shown, "one");
  const bad = listener([
    secured(tcpFilter("a"), { tlsCertificates: certificates("one"), tlsParams: { cipherSuites: ["NO-SUCH-CIPHER"] } }),
  ]);
  assert.deepEqual(refusals(bad), [
    "filter_chains[0].transport_socket.typed_config.common_tls_context.tls_params.cipher_suites",
  ]);
});

function refusals(message: ReturnType<typeof listener>): readonly string[] {
  const at = Field.root("main", "");
  compileListener(message, at);
  return at.refusals.map((one) => one.path);
}

test("filter chains that match the same connections are refused, and stars inside names", () => {
  const over = (...matches: readonly Json[]) =>
    refusals(listener(matches.map((filterChainMatch) => chain(tcpFilter("a"), { filterChainMatch }))));
  assert.deepEqual(over({ serverNames: ["a.test"] }, { serverNames: ["b.test"] }), []);
  assert.deepEqual(over({ serverNames: ["a.test", "b.test"] }, { serverNames: ["B.test"] }), [
    "filter_chains[1].filter_chain_match",
  ]);
  assert.deepEqual(over({ destinationPort: 80 }, { destinationPort: 80, sourcePorts: [1] }), []);
  assert.deepEqual(over({}, {}), ["filter_chains[1].filter_chain_match"]);
  assert.deepEqual(over({ serverNames: ["*.a.test"] }), []);
  assert.deepEqual(over({ serverNames: ["a*.test"] }), ["filter_chains[0].filter_chain_match.server_names[0]"]);
});

test("no more connections than the limit", async () => {
  const origin = await tcpOrigin((socket) => socket.pipe(socket));
  const limit = ConnectionLimit.fromJSON({ statPrefix: "few", maxConnections: 1 });
  const made = chain(tcpFilter("origin"));
  made.filters = [
    {
      name: "limit",
      configType: {
        $case: "typedConfig",
        value: any(
          "envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit",
          ConnectionLimit.encode(limit).finish(),
        ),
      },
    },
    ...made.filters,
  ];
  const { port, registry } = await start({
    listeners: [listener([made])],
    clusters: [cluster("origin", [origin])],
  });
  const first = await echoes(port);
  assert.equal(first.answer, "hello");
  assert.equal((await echoes(port)).answer, "");
  assert.equal(stat(registry, "connection_limit.few.limited_connections"), 1);
  first.socket.destroy();
  await new Promise((resolve) => setTimeout(resolve, 50));
  const next = await echoes(port);
  assert.equal(next.answer, "hello");
  next.socket.destroy();
});

function echoes(port: number): Promise<{ readonly socket: Socket; readonly answer: string }> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("hello"));
    socket.on("data", (bytes) => resolve({ socket, answer: bytes.toString() }));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve({ socket, answer: "" }));
  });
}
