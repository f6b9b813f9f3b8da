// Key sets through their life: fetched, tried again, renewed, kept when the issuer fails, found by discovery, forgotten.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { describe, it, type TestContext } from "node:test";
import { VirtualClock } from "../../../src/base/clock.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { KeySetKeeper } from "../../../src/control/key-sets.ts";
import type { KeySets } from "../../../src/model/request-authentication.ts";
import { until } from "./mesh.ts";

const MINUTE_MS = 60_000;
const keysOf = (name: string): string => JSON.stringify({ keys: [{ kty: "oct", kid: name }] });

interface Issuer {
  readonly url: string;
  readonly paths: string[];
  answer: (path: string) => string | undefined;
}

async function startIssuer(context: TestContext): Promise<Issuer> {
  const issuer: Issuer & { url: string } = { url: "", paths: [], answer: () => undefined };
  const server = http.createServer((request, response) => {
    issuer.paths.push(request.url ?? "");
    const body = issuer.answer(request.url ?? "");
    response.writeHead(body === undefined ? 503 : 200).end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  issuer.url = `http://127.0.0.1:${address.port}`;
  return issuer;
}

function startKeeper(context: TestContext, addressOf: (host: string) => string | undefined = () => undefined) {
  const clock = new VirtualClock();
  const seen: KeySets[] = [];
  const log: string[] = [];
  const keeper = new KeySetKeeper({
    clock,
    random: seededRandom(1),
    addressOf,
    onChange: (keySets) => seen.push(keySets),
    log: (_level, message) => log.push(message),
  });
  context.after(() => keeper.stop());
  return { clock, seen, log, keeper, last: (location: string) => seen.at(-1)?.get(location) };
}

describe("key sets", () => {
  it("are tried again until they are there, renewed, and kept when they can't be", async (context) => {
    const issuer = await startIssuer(context);
    const { clock, keeper, last, log } = startKeeper(context);
    const jwksUri = `${issuer.url}/keys`;
    keeper.want([{ issuer: "a", jwksUri }]);
    await until("the failure is told", () => last(jwksUri)?.kind === "failed");
    assert.match(log[0] ?? "", /answered 503/);

    issuer.answer = () => keysOf("one");
    await clock.advance(2_000);
    await until("the keys are there", () => last(jwksUri)?.kind === "keys");
    assert.deepEqual(last(jwksUri), { kind: "keys", jwks: keysOf("one") });

    issuer.answer = () => keysOf("two");
    await clock.advance(23 * MINUTE_MS);
    await until("they are renewed", () => issuer.paths.length === 3 && JSON.stringify(last(jwksUri)).includes("two"));

    issuer.answer = () => undefined;
    await clock.advance(23 * MINUTE_MS);
    await until("it was tried", () => log.length === 2);
    assert.match(log[1] ?? "", /stay in force/);
    assert.deepEqual(last(jwksUri), { kind: "keys", jwks: keysOf("two") });
  });

  it("are found by the issuer's discovery document where no URI is said", async (context) => {
    const issuer = await startIssuer(context);
    issuer.answer = (path) =>
      path === "/.well-known/openid-configuration"
        ? JSON.stringify({ jwks_uri: `${issuer.url}/found` })
        : keysOf("one");
    const { keeper, seen } = startKeeper(context);
    keeper.want([{ issuer: issuer.url }]);
    await until("the keys are there", () => seen.length > 0);
    assert.deepEqual([...(seen[0]?.values() ?? [])], [{ kind: "keys", jwks: keysOf("one") }]);
    assert.deepEqual(issuer.paths, ["/.well-known/openid-configuration", "/found"]);
  });

  it("of a service of the mesh come from the address that the mesh knows", async (context) => {
    const issuer = await startIssuer(context);
    issuer.answer = () => keysOf("one");
    const hosts: string[] = [];
    const { keeper, seen } = startKeeper(context, (host) => {
      hosts.push(host);
      return "127.0.0.1";
    });
    keeper.want([{ issuer: "a", jwksUri: issuer.url.replace("127.0.0.1", "issuer.production.svc") }]);
    await until("the keys are there", () => seen.length > 0);
    assert.equal([...(seen[0]?.values() ?? [])][0]?.kind, "keys");
    assert.deepEqual(hosts, ["issuer.production.svc"]);
  });

  for (const [what, body] of [
    ["no JSON", "<html>"],
    ["no set", "{}"],
    ["an empty set", '{"keys":[]}'],
    ["a set that is too long", `{"keys":[${`"${"x".repeat(1_000)}",`.repeat(1_100)}1]}`],
  ] as const) {
    it(`that are ${what} are refused with the reason`, async (context) => {
      const issuer = await startIssuer(context);
      issuer.answer = () => body;
      const { keeper, seen } = startKeeper(context);
      keeper.want([{ issuer: "a", jwksUri: issuer.url }]);
      await until("the failure is told", () => seen.length > 0);
      const [fetched] = seen[0]?.values() ?? [];
      assert.equal(fetched?.kind, "failed");
      assert.match(JSON.stringify(fetched), /Key Set|longer than/);
    });
  }

  it("that nobody wants any more are not asked for", async (context) => {
    const issuer = await startIssuer(context);
    issuer.answer = () => keysOf("one");
    const { clock, keeper, seen } = startKeeper(context);
    keeper.want([{ issuer: "a", jwksUri: issuer.url }]);
    await until("the keys are there", () => seen.length > 0);
    keeper.want([]);
    await clock.advance(60 * MINUTE_MS);
    assert.equal(issuer.paths.length, 1);
  });
});
