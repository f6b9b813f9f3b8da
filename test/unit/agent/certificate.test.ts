import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { Server } from "@grpc/grpc-js";
import { CertificateKeeper } from "../../../src/agent/certificate.ts";
import { LocalSecrets } from "../../../src/agent/secrets.ts";
import { systemClock, VirtualClock } from "../../../src/base/clock.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { err, ok } from "../../../src/base/result.ts";
import { type Authority, openAuthority } from "../../../src/ca/authority.ts";
import { makeControlTls } from "../../../src/ca/control-tls.ts";
import { addCertificateService } from "../../../src/ca/service.ts";
import { readCertificate } from "../../../src/identity/chain.ts";
import { KEY_ALGORITHMS, type KeyAlgorithm } from "../../../src/identity/key.ts";
import { LogRoot } from "../../../src/observe/log.ts";
import { Registry } from "../../../src/observe/metrics.ts";

const HOUR_MS = 3_600_000;
const directory = fs.mkdtempSync(path.join(os.tmpdir(), "weft-agent-"));
/** Its wall clock may be set, as that of a machine that slept or was corrected. */
class SetClock extends VirtualClock {
  #offsetMs = 0;

  override wallMs(): number {
    return super.wallMs() + this.#offsetMs;
  }

  set(byMs: number): void {
    this.#offsetMs += byMs;
  }
}

const clock = new SetClock(Date.now());
const files = {
  token: path.join(directory, "istio-token"),
  root: path.join(directory, "root-cert.pem"),
  proxyDirectory: "",
  certificateDirectory: path.join(directory, "out"),
};
let authority: Authority;
let server: Server;
let address = "";
let accepts = true;
let asked = 0;
let keeper: CertificateKeeper;
let secrets: LocalSecrets;
let lines: string[] = [];
const settings: { algorithm: KeyAlgorithm; lifetimeSeconds: number; graceRatio: number; graceJitter: number } = {
  algorithm: "ECDSA-P256",
  lifetimeSeconds: 0,
  graceRatio: 0.5,
  graceJitter: 0.01,
};

before(async () => {
  const opened = await openAuthority({ directory: path.join(directory, "pki"), trustDomain: "cluster.local", clock });
  assert.ok(opened.ok);
  authority = opened.value;
  // TLS itself looks at the real clock.
  const real = await openAuthority({
    directory: path.join(directory, "pki"),
    trustDomain: "cluster.local",
    clock: systemClock,
  });
  assert.ok(real.ok);
  const tls = await makeControlTls({ authority: real.value, clock: systemClock, onProblem: assert.fail });
  server = new Server();
  const reviewToken = async (token: string, audience: string) => {
    asked += 1;
    return accepts && token === "pod-token"
      ? ok({ namespace: "production", serviceAccount: "api", audiences: [audience] })
      : err({ code: 401, reason: "Unauthorized", message: "the token has expired" });
  };
  addCertificateService(server, { authority, clock, registry: new Registry(), client: { reviewToken } });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", tls.credentials, (error, bound) => (error ? reject(error) : resolve(bound))),
  );
  address = `127.0.0.1:${port}`;
  fs.writeFileSync(files.token, "pod-token\n");
  fs.writeFileSync(files.root, authority.rootPem);
});

after(() => {
  server.forceShutdown();
  fs.rmSync(directory, { recursive: true });
});

beforeEach(() => {
  accepts = true;
  lines = [];
  secrets = new LocalSecrets();
  const log = new LogRoot({
    level: "info",
    format: "plain",
    write: (line) => lines.push(line),
    wallMs: clock.wallMs.bind(clock),
  });
  keeper = new CertificateKeeper({
    config: {
      identity: { trustDomain: "cluster.local", namespace: "production", serviceAccount: "api" },
      caAddress: address,
      files,
      certificate: settings,
    },
    secrets,
    clock,
    random: seededRandom(7),
    log: log.logger("agent"),
    registry: new Registry(),
  });
});

afterEach(() => keeper.stop());

/** Lets real answers arrive while virtual time stands still. */
async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!holds()) {
    assert.ok(performance.now() < deadline, `waited 5 s for: ${what}\n${lines.join("")}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function serial(): string {
  const value = secrets.get("default");
  const facts = value?.kind === "certificate" ? readCertificate(value.certificateChainPem) : undefined;
  return facts?.ok === true ? facts.value.serialNumber : "";
}

describe("the workload's certificate", () => {
  test("is had at the start, with trust, and shown without its key", async () => {
    await keeper.start();
    assert.deepEqual(keeper.facts?.uris, ["spiffe://cluster.local/ns/production/sa/api"]);
    assert.equal(secrets.get("ROOTCA")?.kind, "trust");
    const shown = fs.readdirSync(files.certificateDirectory);
    assert.deepEqual(shown.sort(), ["cert-chain.pem", "root-cert.pem"]);
    const chain = fs.readFileSync(path.join(files.certificateDirectory, "cert-chain.pem"), "utf8");
    assert.ok(!chain.includes("PRIVATE KEY"));
    assert.equal(chain.match(/BEGIN CERTIFICATE/g)?.length, 2);
  });

  test("is renewed at half-life with a new key, and listeners hear of it", async () => {
    await keeper.start();
    const first = serial();
    let heard = 0;
    secrets.onChange("default", () => {
      heard += 1;
    });
    clock.advance(11.5 * HOUR_MS);
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(serial(), first);
    clock.advance(HOUR_MS);
    await until(() => heard === 1, "the renewal");
    assert.notEqual(serial(), first);
  });

  for (const [what, byMs] of [
    ["slept past half of its life", 13 * HOUR_MS],
    ["slept past its end", 30 * HOUR_MS],
    ["was set back to before its beginning", -HOUR_MS],
  ] as const) {
    test(`is renewed soon on a machine that ${what}`, async () => {
      await keeper.start();
      const first = serial();
      clock.set(byMs);
      clock.advance(31_000);
      await until(() => serial() !== first, "the renewal");
      const { notBeforeMs = 0, notAfterMs = 0 } = keeper.facts ?? {};
      assert.ok(notBeforeMs <= clock.wallMs() && clock.wallMs() < notAfterMs);
      clock.set(-byMs);
    });
  }

  test("is left as it is where the clock is set a little", async () => {
    await keeper.start();
    const first = serial();
    for (const byMs of [-60_000, 60_000, HOUR_MS, -HOUR_MS / 2]) {
      clock.set(byMs);
      clock.advance(31_000);
    }
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(serial(), first);
    clock.set(-HOUR_MS / 2);
  });

  for (const algorithm of KEY_ALGORITHMS) {
    test(`has a key of ${algorithm} where that is asked for`, async () => {
      settings.algorithm = algorithm;
      await keeper.start();
      settings.algorithm = "ECDSA-P256";
      const value = secrets.get("default");
      assert.ok(value?.kind === "certificate");
      const { publicKey } = new X509Certificate(value.certificateChainPem);
      const { namedCurve, modulusLength } = publicKey.asymmetricKeyDetails ?? {};
      const kinds = { prime256v1: "ECDSA-P256", secp384r1: "ECDSA-P384" };
      const curve = Object.entries(kinds).find(([name]) => name === namedCurve)?.[1];
      assert.equal(curve ?? `RSA-${modulusLength}`, algorithm);
    });
  }

  test("is asked for again with back-off, and the log says why", async () => {
    accepts = false;
    asked = 0;
    const started = keeper.start();
    await until(() => lines.length === 1, "a refusal");
    assert.match(
      lines[0] ?? "",
      /no certificate: 127\.0\.0\.1:\d+: UNAUTHENTICATED: the token was refused: the token has expired; trying again in 0\.\d s/,
    );
    clock.advance(500);
    await until(() => asked === 2 && lines.length === 2, "a second try");
    accepts = true;
    clock.advance(1_000);
    await started;
    assert.match(lines.at(-1) ?? "", /certificate for spiffe:.* valid until .*, renewal at/);
  });

  test("that can't be renewed stays in use, and the log says how long it lasts", async () => {
    await keeper.start();
    const first = serial();
    accepts = false;
    clock.advance(12.5 * HOUR_MS);
    await until(() => lines.some((line) => /the one in use lasts another 6\d\d min/.test(line)), "the warning");
    assert.equal(serial(), first);
    accepts = true;
    clock.advance(60_000);
    await until(() => serial() !== first, "the late renewal");
  });

  test("missing files are named", async () => {
    fs.renameSync(files.token, `${files.token}.away`);
    const started = keeper.start();
    await until(() => lines.length === 1, "a warning");
    assert.match(lines[0] ?? "", /the pod's token is not there: ENOENT.*istio-token/);
    fs.renameSync(`${files.token}.away`, files.token);
    clock.advance(1_000);
    await started;
  });
});
