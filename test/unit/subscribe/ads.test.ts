import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { LocalSecrets } from "../../../src/agent/secrets.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { ok } from "../../../src/base/result.ts";
import { openAuthority } from "../../../src/ca/authority.ts";
import { makeControlTls } from "../../../src/ca/control-tls.ts";
import { generateKey, privateKeyToPem } from "../../../src/identity/key.ts";
import { Node } from "../../../src/proto/gen/envoy/config/core/v3/base.ts";
import { type AdsOptions, makeAdsSource } from "../../../src/proxy/subscribe/ads.ts";
import { TYPE_URLS } from "../../../src/proxy/subscribe/decode.ts";
import type {
  ResourceHandler,
  ResourceRefusal,
  ResourceSource,
  ResourceUpdate,
  StreamState,
} from "../../../src/proxy/subscribe/source.ts";
import { ControlPlane, clusterResource, endpointResource, until } from "./control-plane.ts";

class Recorder implements ResourceHandler {
  readonly updates: ResourceUpdate[] = [];
  readonly states: StreamState[] = [];
  refuse: (update: ResourceUpdate) => readonly ResourceRefusal[] = () => [];

  onUpdate(update: ResourceUpdate): readonly ResourceRefusal[] {
    this.updates.push(update);
    return this.refuse(update);
  }

  onState(state: StreamState): void {
    this.states.push(state);
  }
}

let plane: ControlPlane;
let recorder: Recorder;
let source: ResourceSource | undefined;

beforeEach(() => {
  plane = new ControlPlane();
  recorder = new Recorder();
});

afterEach(() => {
  source?.stop();
  plane.stop();
});

function open(port: number, options: Partial<AdsOptions> = {}): ResourceSource {
  source = makeAdsSource({
    target: `127.0.0.1:${port}`,
    tls: undefined,
    node: Node.fromPartial({ id: "sidecar~10.0.0.1~api.production~production.svc.cluster.local" }),
    variant: "delta",
    wildcards: new Set(["cluster", "listener"]),
    clock: systemClock,
    random: seededRandom(1),
    ...options,
  });
  source.start(recorder);
  return source;
}

describe("delta", () => {
  test("subscribes to clusters and listeners as wildcards, names itself once, acknowledges", async () => {
    open(await plane.start());
    await until(() => plane.delta.length === 2, "two subscriptions");
    assert.deepEqual(
      plane.delta.map((request) => [request.typeUrl, request.node?.id !== undefined, request.resourceNamesSubscribe]),
      [
        [TYPE_URLS.cluster, true, []],
        [TYPE_URLS.listener, false, []],
      ],
    );
    plane.sendDelta({
      typeUrl: TYPE_URLS.cluster,
      nonce: "n1",
      resources: [clusterResource("a"), clusterResource("b")],
    });
    await until(() => plane.delta.length === 3, "the ACK");
    assert.equal(plane.delta[2]?.responseNonce, "n1");
    assert.equal(plane.delta[2]?.errorDetail, undefined);
    const [update] = recorder.updates;
    assert.deepEqual(update?.kind === "cluster" && update.changed.map(({ resource }) => resource.name), ["a", "b"]);
  });

  test("names come and go; the ACK leaves before what it led to", async () => {
    const opened = open(await plane.start());
    recorder.refuse = (update) => {
      if (update.kind === "cluster") opened.setWanted("endpoint", new Set(["a", "b"]));
      return [];
    };
    await until(() => plane.delta.length === 2, "subscriptions");
    plane.sendDelta({
      typeUrl: TYPE_URLS.cluster,
      nonce: "n1",
      resources: [clusterResource("a"), clusterResource("b")],
    });
    await until(() => plane.delta.length === 4, "ACK and endpoints");
    assert.equal(plane.delta[2]?.responseNonce, "n1");
    assert.deepEqual(plane.delta[3]?.resourceNamesSubscribe, ["a", "b"]);
    opened.setWanted("endpoint", new Set(["b", "c"]));
    await until(() => plane.delta.length === 5, "the change");
    assert.deepEqual(plane.delta[4]?.resourceNamesSubscribe, ["c"]);
    assert.deepEqual(plane.delta[4]?.resourceNamesUnsubscribe, ["a"]);
    plane.sendDelta({
      typeUrl: TYPE_URLS.endpoint,
      nonce: "n2",
      resources: [endpointResource("a"), endpointResource("b")],
    });
    await until(() => recorder.updates.length === 2, "endpoints");
    const update = recorder.updates[1];
    assert.deepEqual(update?.kind === "endpoint" && update.changed.map(({ name }) => name), ["b"]);
  });

  test("a refusal is a NACK that names resource and path", async () => {
    open(await plane.start());
    recorder.refuse = () => [
      { resource: "bad", path: "lb_policy", typeUrl: TYPE_URLS.cluster, message: "MAGLEV is not supported" },
    ];
    await until(() => plane.delta.length === 2, "subscriptions");
    plane.sendDelta({
      typeUrl: TYPE_URLS.cluster,
      nonce: "n1",
      resources: [clusterResource("good"), clusterResource("bad")],
    });
    await until(() => plane.delta.length === 3, "the NACK");
    assert.equal(plane.delta[2]?.errorDetail?.code, 3);
    assert.equal(
      plane.delta[2]?.errorDetail?.message,
      "bad: lb_policy (envoy.config.cluster.v3.Cluster): MAGLEV is not supported",
    );
  });

  test("garbage is refused by itself, the rest is applied", async () => {
    open(await plane.start());
    await until(() => plane.delta.length === 2, "subscriptions");
    const garbage = { typeUrl: TYPE_URLS.cluster, value: Buffer.from([0x0a, 0xff]) };
    plane.sendDelta({
      typeUrl: TYPE_URLS.cluster,
      nonce: "n1",
      resources: [clusterResource("good"), { ...clusterResource("broken"), resource: garbage }],
    });
    await until(() => plane.delta.length === 3, "the NACK");
    assert.match(plane.delta[2]?.errorDetail?.message ?? "", /^broken: .*can't be decoded/);
    const [update] = recorder.updates;
    assert.deepEqual(
      update?.changed.map(({ name }) => name),
      ["good"],
    );
  });

  test("comes back after a lost stream and tells what it already has", async () => {
    const port = await plane.start();
    open(port).setWanted("endpoint", new Set(["a"]));
    await until(() => plane.delta.length === 3, "subscriptions");
    plane.sendDelta({
      typeUrl: TYPE_URLS.cluster,
      nonce: "n1",
      resources: [clusterResource("a", "7"), clusterResource("b", "8")],
    });
    await until(() => plane.delta.length === 4, "the ACK");
    recorder.refuse = (update) =>
      update.changed.map(({ name }) => ({ resource: name, path: "", typeUrl: TYPE_URLS.cluster, message: "no" }));
    plane.sendDelta({
      typeUrl: TYPE_URLS.cluster,
      nonce: "n2",
      resources: [clusterResource("a", "9")],
      removedResources: ["b"],
    });
    await until(() => plane.delta.length === 5, "the NACK");
    plane.endStreams();
    await until(() => plane.streams === 2 && plane.delta.length === 8, "a second stream");
    const hello = plane.delta[5];
    assert.equal(hello?.node?.id, "sidecar~10.0.0.1~api.production~production.svc.cluster.local");
    assert.deepEqual(hello?.initialResourceVersions, { a: "7" });
    assert.deepEqual(plane.delta[6]?.resourceNamesSubscribe, ["a"]);
    assert.ok(
      recorder.states.some((state) => state.kind === "disconnected" && state.cause.includes("closed the stream")),
    );
  });

  test("a control plane that isn't there yet is waited for, saying why", async () => {
    const other = new ControlPlane();
    const port = await other.start();
    other.stop();
    open(port);
    await until(() => recorder.states.some((state) => state.kind === "disconnected"), "a failure");
    const failure = recorder.states.find((state) => state.kind === "disconnected");
    assert.match(failure?.kind === "disconnected" ? failure.cause : "", /ECONNREFUSED/);
    await plane.start(undefined, port);
    await until(() => plane.delta.length === 2, "subscriptions");
  });
});

describe("state of the world", () => {
  test("only differences reach the proxy; what is gone is removed", async () => {
    open(await plane.start(), { variant: "sotw" });
    await until(() => plane.sotw.length === 2, "subscriptions");
    const any = (name: string, alt = "") => clusterResource(name, "", alt).resource ?? assert.fail();
    plane.sendSotw({ typeUrl: TYPE_URLS.cluster, versionInfo: "v1", nonce: "n1", resources: [any("a"), any("b")] });
    await until(() => plane.sotw.length === 3, "ACK 1");
    assert.equal(plane.sotw[2]?.versionInfo, "v1");
    plane.sendSotw({ typeUrl: TYPE_URLS.cluster, versionInfo: "v2", nonce: "n2", resources: [any("a", "changed")] });
    await until(() => plane.sotw.length === 4, "ACK 2");
    const update = recorder.updates[1];
    assert.deepEqual(
      update?.changed.map(({ name }) => name),
      ["a"],
    );
    assert.deepEqual(update?.removed, ["b"]);
    recorder.refuse = () => [{ resource: "a", path: "x", typeUrl: TYPE_URLS.cluster, message: "no" }];
    plane.sendSotw({ typeUrl: TYPE_URLS.cluster, versionInfo: "v3", nonce: "n3", resources: [any("a", "again")] });
    await until(() => plane.sotw.length === 5, "the NACK");
    assert.equal(plane.sotw[4]?.versionInfo, "v2");
    assert.equal(plane.sotw[4]?.responseNonce, "n3");
    assert.match(plane.sotw[4]?.errorDetail?.message ?? "", /^a: x/);
  });
});

describe("TLS", () => {
  test("checks the control plane's name, shows certificate and token", async () => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "weft-ads-"));
    const authority = await openAuthority({ directory, trustDomain: "cluster.local", clock: systemClock });
    assert.ok(authority.ok);
    const tls = await makeControlTls({ authority: authority.value, clock: systemClock, onProblem: assert.fail });
    const key = generateKey();
    const chain = await authority.value.sign({
      publicKeyDer: new Uint8Array(createPublicKey(key).export({ type: "spki", format: "der" })),
      names: [{ type: "url", value: "spiffe://cluster.local/ns/production/sa/api" }],
      lifetimeMs: 60_000,
    });
    const secrets = new LocalSecrets();
    secrets.set("default", { kind: "certificate", certificateChainPem: chain, privateKeyPem: privateKeyToPem(key) });
    const port = await plane.start(tls.credentials);
    const options = { rootPem: () => ok(authority.value.rootPem), secrets, token: () => "the-token" };
    open(port, { tls: { ...options, serverName: "istiod.istio-system.svc" } });
    await until(() => plane.delta.length === 2, "subscriptions");
    assert.deepEqual(plane.authorizations, ["Bearer the-token"]);
    assert.deepEqual(plane.peerUris, ["URI:spiffe://cluster.local/ns/production/sa/api"]);
    source?.stop();
    recorder = new Recorder();
    open(port, { tls: { ...options, serverName: "another.istio-system.svc" } });
    await until(() => recorder.states.some((state) => state.kind === "disconnected"), "a refusal");
    const failure = recorder.states.find((state) => state.kind === "disconnected");
    assert.match(failure?.kind === "disconnected" ? failure.cause : "", /another\.istio-system\.svc/);
    tls.close();
    fs.rmSync(directory, { recursive: true });
  });
});
