// JWT authentication over time: keys that rotate, tokens that expire while they are remembered, clients that leave.

import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { test } from "node:test";
import { VirtualClock } from "../../../src/base/clock.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { JwtAuthentication } from "../../../src/proto/gen/envoy/extensions/filters/http/jwt_authn/v3/config.ts";
import { HeaderList } from "../../../src/proxy/codec/headers.ts";
import { Field } from "../../../src/proxy/compile/field.ts";
import { readKeySet } from "../../../src/proxy/compile/jwks.ts";
import { compileJwt } from "../../../src/proxy/compile/jwt.ts";
import type { CallRequest, CallResult } from "../../../src/proxy/filters/caller.ts";
import { KeyStore } from "../../../src/proxy/filters/jwks.ts";
import { readToken } from "../../../src/proxy/filters/jwt-token.ts";
import { verifySignature } from "../../../src/proxy/filters/jwt-verify.ts";
import { JWKS_WAITING_MAX } from "../../../src/proxy/limits.ts";
import { cluster, httpListener, httpOrigin, raw, routeAll, start, stat } from "./harness.ts";

const one = generateKeyPairSync("ec", { namedCurve: "P-256" });
const two = generateKeyPairSync("ec", { namedCurve: "P-256" });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const jwk = (key: KeyObject, more: Record<string, unknown> = {}) => ({ ...key.export({ format: "jwk" }), ...more });
const jwks = (...keys: unknown[]) => JSON.stringify({ keys });

function token(key: KeyObject, claims: Record<string, unknown>, header: Record<string, unknown> = { alg: "ES256" }) {
  const input = `${part(header)}.${part({ iss: "me", ...claims })}`;
  return `${input}.${sign("sha256", Buffer.from(input), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
}

function filter(provider: Record<string, unknown>) {
  const message = JwtAuthentication.fromJSON({
    providers: { p: { issuer: "me", ...provider } },
    rules: [{ match: { prefix: "/" }, requires: { providerName: "p" } }],
  });
  return {
    name: "envoy.filters.http.jwt_authn",
    typeUrl: "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
    bytes: JwtAuthentication.encode(message).finish(),
  };
}

async function proxyWith(provider: Record<string, unknown>, clock: VirtualClock, keysPort: number) {
  const origin = await httpOrigin((_request, response) => response.end("ok"));
  return start(
    {
      listeners: [httpListener({ virtualHosts: [routeAll("origin")], filters: [filter(provider)] })],
      clusters: [cluster("origin", [origin]), cluster("keys", [keysPort])],
    },
    { clock },
  );
}

const call = (text: string) =>
  `GET / HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${text}\r\nconnection: close\r\n\r\n`;
const answer = async (port: number, text: string) =>
  (await raw(port, call(text))).replace(/^HTTP\/1\.1 (\d+)[\s\S]*\r\n\r\n/, "$1 ");
const remote = { httpUri: { uri: "http://keys/jwks", cluster: "keys", timeout: { seconds: 1, nanos: 0 } } };

test("a token that is remembered expires all the same", async () => {
  const clock = new VirtualClock();
  const localJwks = { inlineString: jwks(jwk(one.publicKey)) };
  const { port } = await proxyWith({ localJwks, clockSkewSeconds: 1 }, clock, 1);
  const text = token(one.privateKey, { exp: Math.floor(clock.wallMs() / 1000) + 10 });
  assert.equal(await answer(port, text), "200 ok");
  assert.equal(await answer(port, text), "200 ok");
  clock.advance(12_000);
  assert.equal(await answer(port, text), "401 Jwt is expired");
});

test("keys are fetched again when they have expired, and what an old key signed is no longer good", async () => {
  const clock = new VirtualClock();
  let keys = jwks(jwk(one.publicKey));
  let fetches = 0;
  const keysPort = await httpOrigin((_request, response) => {
    fetches += 1;
    response.end(keys);
  });
  const cacheDuration = { seconds: 60, nanos: 0 };
  const { port, registry } = await proxyWith({ remoteJwks: { ...remote, cacheDuration } }, clock, keysPort);
  const [old, fresh] = [token(one.privateKey, {}), token(two.privateKey, {})];
  assert.equal(await answer(port, old), "200 ok");
  assert.equal(await answer(port, fresh), "401 Jwt verification fails");
  keys = jwks(jwk(two.publicKey));
  assert.equal(await answer(port, old), "200 ok");
  assert.equal(fetches, 1);
  clock.advance(61_000);
  assert.equal(await answer(port, old), "401 Jwt verification fails");
  assert.equal(await answer(port, fresh), "200 ok");
  assert.equal(fetches, 2);
  assert.equal(stat(registry, "http.test.jwt_authn.jwks_fetch_success"), 2);
});

test("what comes instead of keys is no reason to let anybody in", async () => {
  let body = "no keys";
  const keysPort = await httpOrigin((_request, response) => response.end(body));
  const { port } = await proxyWith({ remoteJwks: remote }, new VirtualClock(), keysPort);
  const text = token(one.privateKey, {});
  assert.equal(await answer(port, text), "401 Jwks remote fetch is failed");
  body = "x".repeat(2 * 1024 * 1024);
  assert.equal(await answer(port, text), "401 Jwks remote fetch is failed");
  body = jwks(jwk(one.publicKey));
  assert.equal(await answer(port, text), "200 ok");
});

function storeWith(clock: VirtualClock, retryPolicy?: Record<string, unknown>) {
  const message = JwtAuthentication.fromJSON({ providers: { p: { remoteJwks: { ...remote, retryPolicy } } } });
  const config = compileJwt(message, Field.root("main", "type.googleapis.com/test"));
  const calls: { request: CallRequest; done: (result: CallResult) => void; givenUp: boolean }[] = [];
  const fetched: string[] = [];
  const source = config.providers[0]?.keys;
  assert.ok(source);
  const store = new KeyStore(source, {
    clock,
    random: seededRandom(1),
    caller: {
      grpc: () => assert.fail("keys come over HTTP"),
      call(request, done) {
        const entry = { request, done, givenUp: false };
        calls.push(entry);
        return () => {
          entry.givenUp = true;
        };
      },
    },
    onFetched: (outcome) => fetched.push(outcome),
  });
  const found = (text: string): CallResult => ({
    kind: "answer",
    status: 200,
    headers: new HeaderList(),
    body: Buffer.from(text),
  });
  return { store, calls, fetched, found };
}

test("many who wait share one fetch, and only so many wait", () => {
  const { store, calls, found } = storeWith(new VirtualClock());
  let served = 0;
  let refused = 0;
  const count = (set: unknown) => {
    if (set === undefined) refused += 1;
    else served += 1;
  };
  const leave = store.wait(() => assert.fail("who left hears nothing"));
  for (let index = 0; index < JWKS_WAITING_MAX + 10; index += 1) store.wait(count);
  leave();
  assert.equal(calls.length, 1);
  assert.equal(refused, 11);
  calls[0]?.done(found(jwks(jwk(one.publicKey))));
  assert.equal(served, JWKS_WAITING_MAX - 1);
});

test("a fetch that fails is tried again as often as the policy says, then everybody hears of it", () => {
  const clock = new VirtualClock();
  const { store, calls, fetched } = storeWith(clock, { numRetries: 2 });
  const heard: unknown[] = [];
  store.wait((set) => heard.push(set));
  for (let tries = 0; tries < 3; tries += 1) {
    assert.equal(calls.length, tries + 1);
    calls[tries]?.done({ kind: "failed", reason: "reset" });
    clock.advance(20_000);
  }
  assert.equal(calls.length, 3);
  assert.deepEqual(heard, [undefined]);
  assert.deepEqual(fetched, ["failed"]);
});

test("closing gives up what is under way", () => {
  const { store, calls } = storeWith(new VirtualClock());
  const heard: unknown[] = [];
  store.wait((set) => heard.push(set));
  store.close();
  assert.equal(calls[0]?.givenUp, true);
  assert.deepEqual(heard, [undefined]);
});

test("a key is never used for another kind of algorithm than its own", async () => {
  const verify = async (text: string, ...keys: unknown[]) => {
    const read = readToken(text);
    assert.ok(read.ok, read.ok ? "" : read.error);
    const set = readKeySet(jwks(...keys));
    assert.ok(set.ok);
    return verifySignature(read.value, set.value);
  };
  const failed = "Jwt verification fails";
  const hmac = token(one.privateKey, {}, { alg: "HS256" });
  assert.equal(await verify(hmac, jwk(rsa.publicKey)), failed);
  assert.equal(await verify(hmac, { ...jwk(rsa.publicKey), kty: "oct" }), failed);
  assert.equal(await verify(token(one.privateKey, {}), jwk(rsa.publicKey), jwk(one.publicKey)), undefined);
  // A private key in the set verifies with its public half.
  assert.equal(await verify(token(one.privateKey, {}), jwk(one.privateKey)), undefined);
  assert.equal(
    await verify(token(one.privateKey, {}), jwk(one.publicKey, { alg: "ES384" })),
    "Jwks doesn't have key to match kid or alg from Jwt",
  );
  assert.equal(await verify(token(one.privateKey, {}), jwk(one.publicKey, { crv: "P-384" })), failed);
});

test("what can't be honoured is refused by its path", () => {
  const refusals = (json: Record<string, unknown>) => {
    const field = Field.root("main", "type.googleapis.com/test");
    compileJwt(JwtAuthentication.fromJSON(json), field);
    return field.refusals.map((refusal) => refusal.path);
  };
  const p = { localJwks: { inlineString: jwks(jwk(one.publicKey)) } };
  const rules = (requires: unknown) => ({ providers: { p }, rules: [{ match: { prefix: "/" }, requires }] });
  assert.deepEqual(refusals(rules({ providerName: "p" })), []);
  assert.deepEqual(refusals(rules({ providerName: "q" })), ["rules[0].requires.provider_name"]);
  assert.deepEqual(refusals(rules({ extractOnlyWithoutValidation: {} })), [
    "rules[0].requires.extract_only_without_validation",
  ]);
  assert.deepEqual(refusals({ providers: { p: {} } }), ["providers[p]"]);
  assert.deepEqual(refusals({ providers: { p: { localJwks: { inlineString: "{}" } } } }), ["providers[p].local_jwks"]);
  assert.deepEqual(refusals({ providers: { p: { localJwks: { filename: "/a" } } } }), ["providers[p].local_jwks"]);
  assert.deepEqual(refusals({ providers: { p: { remoteJwks: {} } } }), ["providers[p].remote_jwks.http_uri"]);
  assert.deepEqual(refusals({ providers: { p }, filterStateRules: { name: "x" } }), ["filter_state_rules"]);
});
