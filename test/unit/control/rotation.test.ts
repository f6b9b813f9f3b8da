// The root's rotation through control plane and agents: who is awaited, what is refused, and what everybody ends up with.

import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, it, type TestContext } from "node:test";
import { CertificateKeeper } from "../../../src/agent/certificate.ts";
import { LocalSecrets } from "../../../src/agent/secrets.ts";
import { configMapKind } from "../../../src/api/kubernetes/config-map.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { isRecord } from "../../../src/base/json.ts";
import { nextStep, type RotationStep } from "../../../src/ca/authority.ts";
import { verifyChain } from "../../../src/identity/chain.ts";
import { splitCertificates } from "../../../src/identity/pem.ts";
import { LogRoot } from "../../../src/observe/log.ts";
import { Registry } from "../../../src/observe/metrics.ts";
import { Node } from "../../../src/proto/gen/envoy/config/core/v3/base.ts";
import { makeAdsSource } from "../../../src/proxy/subscribe/ads.ts";
import { withTrust } from "../../../src/sidecar/trust-source.ts";
import { type Certified, certify, revoke } from "../pki.ts";
import { startMesh, type TestMesh, until } from "./mesh.ts";

const NAMESPACES = ["production", "istio-system"]
  .map((name) => `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}}`)
  .join("\n---\n");
const ACCOUNT = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default, namespace: production}";

interface Agent {
  readonly secrets: LocalSecrets;
  readonly keeper: CertificateKeeper;
  /** How often it opened its stream. */
  streams(): number;
  stop(): void;
}

/** A sidecar's agent with its stream, and no proxy behind it. */
async function startAgent(context: TestContext, mesh: TestMesh, pod: string): Promise<Agent> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "weft-agent-"));
  const files = {
    token: path.join(folder, "token"),
    root: path.join(folder, "root.pem"),
    proxyDirectory: "",
    certificateDirectory: path.join(folder, "out"),
  };
  const token = await mesh.client.createToken({
    namespace: "production",
    serviceAccount: "default",
    audiences: ["istio-ca"],
    expirationSeconds: 3_600,
  });
  assert.ok(token.ok);
  fs.writeFileSync(files.token, token.value);
  fs.writeFileSync(files.root, mesh.authority.rootPem);
  const secrets = new LocalSecrets();
  const target = `127.0.0.1:${mesh.control.secure.port}`;
  const keeper = new CertificateKeeper({
    config: {
      identity: { trustDomain: "cluster.local", namespace: "production", serviceAccount: "default" },
      caAddress: target,
      files,
      certificate: { algorithm: "ECDSA-P256", lifetimeSeconds: 0, graceRatio: 0.5, graceJitter: 0.01 },
    },
    secrets,
    clock: systemClock,
    // The wait that spreads a mesh's requests is short here.
    random: () => 0.01,
    log: new LogRoot({ level: "off", format: "plain", write: () => undefined, wallMs: Date.now }).logger("agent"),
    registry: new Registry(),
  });
  await keeper.start();
  let streams = 0;
  const ads = makeAdsSource({
    target,
    tls: {
      rootPem: () => keeper.rootPem(),
      serverName: "istiod.istio-system.svc",
      secrets,
      token: () => token.value,
    },
    node: Node.fromPartial({
      id: `sidecar~10.0.0.9~${pod}.production~production.svc.cluster.local`,
      userAgentName: "weft",
    }),
    variant: "delta",
    wildcards: new Set(["cluster", "listener"]),
    clock: systemClock,
    random: () => 0.5,
  });
  const source = withTrust(ads, (value) => keeper.takeTrust(value));
  source.start({
    onUpdate: () => [],
    onState: ({ kind }) => {
      if (kind === "connected") streams += 1;
    },
  });
  const stop = (): void => {
    source.stop();
    keeper.stop();
  };
  context.after(() => {
    stop();
    fs.rmSync(folder, { recursive: true });
  });
  return { secrets, keeper, streams: () => streams, stop };
}

function trusted({ secrets }: Agent): readonly string[] {
  const value = secrets.get("ROOTCA");
  return value?.kind === "trust" ? splitCertificates(value.bundlePem) : [];
}

function isOf({ secrets }: Agent, root: string): boolean {
  const value = secrets.get("default");
  return value?.kind === "certificate" && verifyChain(value.certificateChainPem, root, Date.now()).ok;
}

let requests = 0;

/** As the command does it; the answer is empty where the step was taken. */
async function ask(mesh: TestMesh, step: RotationStep): Promise<string> {
  requests += 1;
  const id = `request-${requests}`;
  const data = JSON.stringify({ id, step });
  await mesh.apply(
    `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio-ca-rotation, namespace: istio-system}\ndata: {request: '${data}'}`,
  );
  let refused: unknown;
  await until("an answer", async () => {
    const { answered } = await status(mesh);
    refused = isRecord(answered) && answered["id"] === id ? answered["refused"] : undefined;
    return refused !== undefined;
  });
  return String(refused);
}

async function status(mesh: TestMesh): Promise<Record<string, unknown>> {
  const page: unknown = await (await fetch(`http://127.0.0.1:${mesh.control.debug?.port}/debug/trustz`)).json();
  assert.ok(isRecord(page));
  return page;
}

/** There are no pods behind these agents, by which a control plane knows who is only opening its stream anew. */
const nobodyAwaited = (mesh: TestMesh, count: number) =>
  until("nobody is awaited", async () => {
    const { awaited } = await status(mesh);
    return mesh.control.connections().length === count && JSON.stringify(awaited) === "[]";
  });

describe("the rotation of the root", () => {
  it("brings every agent through its steps, to the new root alone", async (context) => {
    const mesh = await startMesh(context);
    await mesh.apply(`${NAMESPACES}\n---\n${ACCOUNT}`);
    const agents = [await startAgent(context, mesh, "a"), await startAgent(context, mesh, "b")];
    const [old = ""] = splitCertificates(mesh.authority.rootPem);
    await nobodyAwaited(mesh, 2);

    assert.equal(await ask(mesh, "trust"), "");
    const [, next = ""] = splitCertificates(mesh.authority.rootPem);
    await nobodyAwaited(mesh, 2);
    for (const agent of agents) {
      assert.deepEqual(trusted(agent), [old, next]);
      assert.ok(isOf(agent, old));
    }

    assert.equal(await ask(mesh, "sign"), "");
    await nobodyAwaited(mesh, 2);
    for (const agent of agents) {
      assert.deepEqual(trusted(agent), [next, old]);
      assert.ok(isOf(agent, next));
      assert.equal(agent.streams(), 2, "the stream was opened anew with the new certificate, once");
    }

    assert.equal(await ask(mesh, "drop"), "");
    await nobodyAwaited(mesh, 2);
    for (const agent of agents) assert.deepEqual(trusted(agent), [next]);
    await until("pods that start learn the new root", async () => {
      const read = await mesh.client.get(configMapKind, { namespace: "production", name: "istio-ca-root-cert" });
      return read.ok && read.value.data?.["root-cert.pem"] === next;
    });
    const late = await startAgent(context, mesh, "late");
    await nobodyAwaited(mesh, 3);
    assert.ok(isOf(late, next));
  });

  it("waits for who has not acknowledged, names it, and skips nothing", async (context) => {
    const mesh = await startMesh(context);
    await mesh.apply(`${NAMESPACES}\n---\n${ACCOUNT}`);
    await startAgent(context, mesh, "good");
    await nobodyAwaited(mesh, 1);
    const deaf = await mesh.connect({
      pod: "deaf",
      namespace: "production",
      serviceAccount: "default",
      address: "10.0.0.8",
      labels: {},
    });
    await until("it is known", () => mesh.control.connections().length === 2);
    assert.match(await ask(mesh, "drop"), /^the next step is trust, not drop$/);
    assert.equal(await ask(mesh, "trust"), "");
    assert.match(
      await ask(mesh, nextStep(mesh.authority.step)),
      /^these proxies are not ready for it: .*deaf\.production \(it does not ask for ROOTCA, so that nobody knows what it trusts\)/,
    );
    assert.equal(mesh.authority.step, "trust");
    deaf.stop();
    await nobodyAwaited(mesh, 1);
    assert.equal(await ask(mesh, "sign"), "");
  });

  it("waits for a pod whose proxy runs without being connected", async (context) => {
    const mesh = await startMesh(context);
    await mesh.apply(`${NAMESPACES}\n---\n${ACCOUNT}`);
    await mesh.apply(`
apiVersion: v1
kind: Pod
metadata: {name: cut-off, namespace: production}
spec: {containers: [{name: istio-proxy, image: weft/proxy}]}
status: {phase: Running}
`);
    assert.equal(await ask(mesh, "trust"), "");
    assert.match(await ask(mesh, "sign"), /cut-off\.production \(its proxy runs, but is not connected\)/);
  });

  it("refuses what is no request, and forgets it", async (context) => {
    const mesh = await startMesh(context);
    await mesh.apply(NAMESPACES);
    for (const request of ["nonsense", '{"id":"x","step":"all"}', '{"id":"x","step":"trust","algorithm":"MD5"}']) {
      await mesh.apply(
        `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio-ca-rotation, namespace: istio-system}\ndata: {request: '${request}'}`,
      );
      await until("it is gone", async () => {
        const read = await mesh.client.get(configMapKind, { namespace: "istio-system", name: "istio-ca-rotation" });
        return read.ok && read.value.data?.["request"] === undefined;
      });
      assert.equal(mesh.authority.step, "stable");
    }
  });
});

describe("revocation lists of the Secret cacerts", () => {
  it("reach every agent, and again when they change; what would end all connections is not taken", async (context) => {
    const mesh = await startMesh(context);
    await mesh.apply(`${NAMESPACES}\n---\n${ACCOUNT}`);
    const agent = await startAgent(context, mesh, "a");
    const root = await certify({ subject: "O=Company, CN=Root", isCa: true, days: 30 });
    const plug = (crl: string) => mesh.apply(secretOf({ root, crl }));
    const lists = () => {
      const value = agent.secrets.get("ROOTCA");
      return value?.kind === "trust" ? value.crlPem : undefined;
    };
    const first = await revoke(root, []);
    await plug(first);
    await until("the first lists", () => lists() === first);
    await until("a certificate of the new root", () => isOf(agent, root.pem));
    const stale = await revoke(root, [], { from: -2, until: -1 });
    const before = mesh.caLog.length;
    await plug(stale);
    await until("it is told", () => mesh.caLog.length > before);
    assert.match(
      mesh.caLog.at(-1) ?? "",
      /the revocation lists: the list of .* is out of date since .*what signed before goes on/,
    );
    assert.equal(lists(), first);
    const second = await revoke(root, [await certify({ subject: "CN=gone", issuer: root })]);
    await plug(second);
    await until("the second lists", () => lists() === second);
    const { revoked } = await status(mesh);
    assert.equal(isRecord(revoked) && revoked["certificates"], 1);
  });
});

function secretOf({ root, crl }: { readonly root: Certified; readonly crl: string }): string {
  const data = { "ca-cert.pem": root.pem, "ca-key.pem": root.keyPem, "root-cert.pem": root.pem, "ca-crl.pem": crl };
  const lines = Object.entries(data).map(([name, text]) => `  ${name}: ${Buffer.from(text).toString("base64")}`);
  return `apiVersion: v1\nkind: Secret\nmetadata: {name: cacerts, namespace: istio-system}\ndata:\n${lines.join("\n")}`;
}
