import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, test } from "node:test";
import { VirtualClock } from "../../../src/base/clock.ts";
import { type Authority, openAuthority } from "../../../src/ca/authority.ts";
import { readBundle, readCertificate, renewalTimeMs, verifyChain } from "../../../src/identity/chain.ts";
import { generateKey } from "../../../src/identity/key.ts";
import { formatPem, parsePem, splitCertificates } from "../../../src/identity/pem.ts";
import { formatSpiffeId, parseSpiffeId } from "../../../src/identity/spiffe.ts";

const HOUR_MS = 3_600_000;
const clock = new VirtualClock(Date.now());

async function authority(): Promise<Authority> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "weft-identity-"));
  const opened = await openAuthority({ directory, trustDomain: "cluster.local", clock });
  fs.rmSync(directory, { recursive: true });
  assert.ok(opened.ok);
  return opened.value;
}

async function leaf(from: Authority): Promise<string> {
  return from.sign({
    publicKeyDer: new Uint8Array(createPublicKey(generateKey()).export({ type: "spki", format: "der" })),
    names: [{ type: "url", value: "spiffe://cluster.local/ns/production/sa/api" }],
    lifetimeMs: 24 * HOUR_MS,
  });
}

describe("SPIFFE ids", () => {
  test("parse what format writes, and nothing else", () => {
    const identity = { trustDomain: "cluster.local", namespace: "production", serviceAccount: "api" };
    const parsed = parseSpiffeId(formatSpiffeId(identity));
    assert.ok(parsed.ok);
    assert.deepEqual(parsed.value, identity);
    for (const wrong of [
      "",
      "spiffe://cluster.local/ns/a/sa/",
      "spiffe://cluster.local/ns/a/sa/b/c",
      "spiffe://cluster.local/sa/b/ns/a",
      "https://cluster.local/ns/a/sa/b",
      "spiffe://cluster.local/ns/a\n/sa/b",
    ]) {
      assert.ok(!parseSpiffeId(wrong).ok, wrong);
    }
  });
});

describe("chains", () => {
  test("hold from leaf to root, within their time only", async () => {
    const ca = await authority();
    const chain = await leaf(ca);
    const nowMs = clock.wallMs();
    const verified = verifyChain(chain, ca.rootPem, nowMs);
    assert.ok(verified.ok);
    assert.deepEqual(verified.value.uris, ["spiffe://cluster.local/ns/production/sa/api"]);
    const late = verifyChain(chain, ca.rootPem, nowMs + 25 * HOUR_MS);
    assert.ok(!late.ok);
    assert.match(late.error, /spiffe:.* expired at/);
    const early = verifyChain(chain, ca.rootPem, nowMs - HOUR_MS);
    assert.ok(!early.ok);
    assert.match(early.error, /not valid before/);
  });

  test("of another root, though of the same name, don't hold", async () => {
    const [mine, other] = [await authority(), await authority()];
    const verified = verifyChain(await leaf(other), mine.rootPem, clock.wallMs());
    assert.ok(!verified.ok);
    assert.match(verified.error, /no trusted root issued/);
    const swapped = verifyChain((await leaf(other)) + other.rootPem, mine.rootPem, clock.wallMs());
    assert.ok(!swapped.ok);
  });

  test("a leaf is no authority", async () => {
    const ca = await authority();
    const first = await leaf(ca);
    assert.ok(!verifyChain(await leaf(ca), first, clock.wallMs()).ok);
  });

  test("renewal falls at half-life", () => {
    assert.equal(renewalTimeMs({ notBeforeMs: 0, notAfterMs: 100 }), 50);
    assert.equal(renewalTimeMs({ notBeforeMs: 0, notAfterMs: 100 }, { graceRatio: 0.5, jitter: -0.01 }), 49);
  });

  test("broken PEM is an error, not an exception", () => {
    assert.ok(!readCertificate("nonsense").ok);
    assert.ok(!readCertificate(formatPem("CERTIFICATE", Buffer.from("x"))).ok);
    assert.ok(!readBundle("").ok);
    assert.deepEqual(splitCertificates("-----BEGIN CERTIFICATE-----\nAAAA"), []);
    assert.deepEqual(parsePem(formatPem("X", Buffer.alloc(100, 7)))[0]?.der, Buffer.alloc(100, 7));
  });
});
