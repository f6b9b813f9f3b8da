// Pushes over real streams: to whom a change goes, what a reconnect costs, and what a client that stops reading does.

import assert from "node:assert/strict";
import http2 from "node:http2";
import { describe, it, type TestContext } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { type Clock, systemClock, VirtualClock } from "../../../src/base/clock.ts";
import { ok } from "../../../src/base/result.ts";
import { MeshState } from "../../../src/control/mesh-state.ts";
import { readManifests } from "../../../src/ingest/file.ts";
import { defaultMeshConfig } from "../../../src/model/mesh-config.ts";
import { Node } from "../../../src/proto/gen/envoy/config/core/v3/base.ts";
import {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
  DiscoveryRequest,
  DiscoveryResponse,
} from "../../../src/proto/gen/envoy/service/discovery/v3/discovery.ts";
import { method } from "../../../src/proto/grpc.ts";
import { STALLED_AFTER_MS } from "../../../src/serve/limits.ts";
import { type ResourceType, TYPE_URLS, typeOf } from "../../../src/serve/resource.ts";
import { DiscoveryServer } from "../../../src/serve/server.ts";
import { until } from "../control/mesh.ts";

const SERVICE = "/envoy.service.discovery.v3.AggregatedDiscoveryService";
const DELTA = method({
  path: `${SERVICE}/DeltaAggregatedResources`,
  kind: "bidi",
  request: DeltaDiscoveryRequest,
  response: DeltaDiscoveryResponse,
});
const STATE = method({
  path: `${SERVICE}/StreamAggregatedResources`,
  kind: "bidi",
  request: DiscoveryRequest,
  response: DiscoveryResponse,
});

const service = (i: number, more = ""): string => `
apiVersion: v1
kind: Service
metadata: {name: svc-${i}, namespace: shop${more}}
spec: {clusterIP: 10.96.${i >> 8}.${i & 255}, ports: [{name: http, port: 8080}]}
---`;
const slice = (i: number, addresses: readonly string[]): string => `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: svc-${i}, namespace: shop, labels: {kubernetes.io/service-name: svc-${i}}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [${addresses.map((each) => `{addresses: [${each}], conditions: {ready: true}}`).join(", ")}]
---`;
const services = (count: number): string => Array.from({ length: count }, (_, i) => service(i)).join("");

class Plane {
  readonly clock: Clock;
  readonly log: string[] = [];
  /** How often a proxy's configuration was asked for. */
  configured = 0;
  readonly state = new MeshState(defaultMeshConfig);
  readonly discovery: DiscoveryServer;
  readonly #server = new grpc.Server();
  port = 0;

  constructor(clock: Clock = systemClock) {
    this.clock = clock;
    this.discovery = new DiscoveryServer({
      clock,
      configure: (proxy) => {
        this.configured += 1;
        return this.state.configure(proxy);
      },
      events: { log: (_level, message) => this.log.push(message) },
    });
  }

  async start(context: TestContext, manifests: string): Promise<this> {
    this.apply(manifests);
    this.discovery.register(this.#server, () => Promise.resolve(ok(undefined)));
    const bound = Promise.withResolvers<number>();
    this.#server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) bound.resolve(port);
      else bound.reject(error);
    });
    this.port = await bound.promise;
    context.after(() => this.stop());
    return this;
  }

  apply(manifests: string): void {
    const read = readManifests(manifests);
    assert.ok(read.ok, read.ok ? "" : read.error);
    this.state.replace(read.value.resources);
    this.discovery.notify();
  }

  stop(): void {
    this.#server.forceShutdown();
    this.discovery.close();
  }
}

function nodeOf(name: string, namespace: string): Node {
  return Node.fromPartial({ id: `sidecar~10.0.0.9~${name}.${namespace}~${namespace}.svc.cluster.local` });
}

/** Acknowledges everything, and asks for the endpoints of its clusters and for the routes of port 8080. */
class DeltaProxy {
  readonly versions = new Map<ResourceType, Map<string, string>>();
  readonly pushes: string[] = [];
  bytes = 0;
  readonly stream: grpc.ClientDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;
  readonly #client: grpc.Client;
  #asked = new Set<ResourceType>();

  constructor(context: TestContext, port: number, namespace: string, former?: DeltaProxy) {
    this.#client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
    });
    this.stream = this.#client.makeBidiStreamRequest(DELTA.path, DELTA.requestSerialize, DELTA.responseDeserialize);
    this.stream.on("error", () => undefined);
    this.stream.on("data", (response: DeltaDiscoveryResponse) => this.#receive(response));
    for (const [type, held] of former?.versions ?? []) this.versions.set(type, new Map(held));
    this.#ask("cluster", { node: nodeOf("a", namespace) });
    this.#ask("listener", {});
    if (former !== undefined) this.#follow();
    context.after(() => this.close());
  }

  close(): void {
    this.stream.cancel();
    this.#client.close();
  }

  names(type: ResourceType): readonly string[] {
    return [...(this.versions.get(type)?.keys() ?? [])];
  }

  #ask(type: ResourceType, more: Partial<DeltaDiscoveryRequest>): void {
    this.#asked.add(type);
    const initialResourceVersions = Object.fromEntries(this.versions.get(type) ?? []);
    this.stream.write(
      DeltaDiscoveryRequest.fromPartial({ typeUrl: TYPE_URLS[type], initialResourceVersions, ...more }),
    );
  }

  #follow(): void {
    const clusters = this.names("cluster").filter((name) => name.startsWith("outbound|"));
    if (clusters.length > 0 && !this.#asked.has("endpoint"))
      this.#ask("endpoint", { resourceNamesSubscribe: clusters });
    if (!this.#asked.has("route")) this.#ask("route", { resourceNamesSubscribe: ["8080"] });
  }

  #receive(response: DeltaDiscoveryResponse): void {
    const type = typeOf(response.typeUrl);
    assert.ok(type !== undefined);
    const held = this.versions.get(type) ?? new Map<string, string>();
    this.versions.set(type, held);
    for (const { name, version } of response.resources) held.set(name, version);
    for (const name of response.removedResources) held.delete(name);
    this.pushes.push(`${type} ${response.resources.map(({ name }) => name).join(" ")}`.trim());
    this.bytes += DeltaDiscoveryResponse.encode(response).finish().length;
    this.stream.write(DeltaDiscoveryRequest.fromPartial({ typeUrl: response.typeUrl, responseNonce: response.nonce }));
    if (type === "cluster" || type === "listener") this.#follow();
  }
}

/** Asks for everything and reads nothing: what it gets fills its window, and no more goes out. */
function stuckProxy(context: TestContext, port: number): http2.ClientHttp2Stream {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on("error", () => undefined);
  const stream = session.request({
    ":method": "POST",
    ":path": DELTA.path,
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => undefined);
  const request = DeltaDiscoveryRequest.fromPartial({ node: nodeOf("stuck", "shop"), typeUrl: TYPE_URLS.cluster });
  const bytes = DeltaDiscoveryRequest.encode(request).finish();
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  stream.write(Buffer.concat([head, bytes]));
  context.after(() => session.destroy());
  return stream;
}

const quiet = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100));

describe("a push", () => {
  it("of one endpoint carries that one", async (context) => {
    const all = services(3);
    const plane = await new Plane().start(context, `${all}${slice(0, ["10.1.0.1"])}`);
    const proxy = new DeltaProxy(context, plane.port, "shop");
    await until("it has its routes", () => proxy.names("route").length > 0);
    proxy.pushes.length = 0;
    plane.apply(`${all}${slice(0, ["10.1.0.1", "10.1.0.2"])}`);
    await until("it has the endpoint", () => proxy.pushes.length > 0);
    await quiet();
    assert.deepEqual(proxy.pushes, ["endpoint outbound|8080||svc-0.shop.svc.cluster.local"]);
  });

  it("waits once for each proxy, with the newest of all that changed", async (context) => {
    const plane = await new Plane().start(context, services(3));
    const proxy = new DeltaProxy(context, plane.port, "shop");
    await until("it has its routes", () => proxy.names("route").length > 0);
    await quiet();
    proxy.pushes.length = 0;
    plane.configured = 0;
    for (let i = 1; i <= 20; i++) plane.apply(`${services(3)}${slice(0, [`10.1.0.${i}`])}`);
    await until("it has the endpoint", () => proxy.pushes.length > 0);
    await quiet();
    assert.equal(plane.configured, 1, "twenty changes in one turn");
    assert.deepEqual(proxy.pushes, ["endpoint outbound|8080||svc-0.shop.svc.cluster.local"]);
  });

  it("does not happen for an edit that alters nobody's configuration", async (context) => {
    const plane = await new Plane().start(context, services(3));
    const proxy = new DeltaProxy(context, plane.port, "shop");
    await until("it has its routes", () => proxy.names("route").length > 0);
    proxy.pushes.length = 0;
    plane.apply(`${service(0, ", annotations: {note: edited}, labels: {team: a}")}${service(1)}${service(2)}`);
    await quiet();
    assert.deepEqual(proxy.pushes, []);
  });

  it("goes only to proxies whose configuration it alters", async (context) => {
    const scoped = `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: narrow}
spec: {egress: [{hosts: ["*/svc-1.shop.svc.cluster.local"]}]}
---`;
    const all = services(3) + scoped;
    const plane = await new Plane().start(context, `${all}${slice(0, ["10.1.0.1"])}`);
    const wide = new DeltaProxy(context, plane.port, "shop");
    const narrow = new DeltaProxy(context, plane.port, "narrow");
    for (const each of [wide, narrow]) await until("it has its routes", () => each.names("route").length > 0);
    assert.deepEqual(narrow.names("endpoint"), ["outbound|8080||svc-1.shop.svc.cluster.local"]);
    narrow.pushes.length = 0;
    wide.pushes.length = 0;
    plane.apply(`${all}${slice(0, ["10.1.0.2"])}`);
    await until("the one who sees it has it", () => wide.pushes.length > 0);
    await quiet();
    assert.deepEqual(narrow.pushes, []);
  });

  it("reaches the others while one stops reading", async (context) => {
    const all = services(120);
    const plane = await new Plane().start(context, `${all}${slice(0, ["10.1.0.1"])}`);
    const stuck = Array.from({ length: 3 }, () => new DeltaProxy(context, plane.port, "shop"));
    for (const each of stuck) each.stream.pause();
    const proxy = new DeltaProxy(context, plane.port, "shop");
    await until("it has its routes", () => proxy.names("route").length > 0, 20_000);
    for (let i = 2; i < 12; i++) {
      proxy.pushes.length = 0;
      plane.apply(`${all}${slice(0, [`10.1.0.${i}`])}`);
      await until("it has the endpoint", () => proxy.pushes.length > 0);
    }
    assert.equal(stuck.filter(({ pushes }) => pushes.length > 0).length, 0);
  });

  it("to a client that takes nothing for a minute ends its stream, and no other", async (context) => {
    const clock = new VirtualClock();
    const plane = await new Plane(clock).start(context, services(300));
    const stuck = stuckProxy(context, plane.port);
    const proxy = new DeltaProxy(context, plane.port, "shop");
    await until("it has its routes", () => proxy.names("route").length > 0, 20_000);
    assert.equal(plane.discovery.connections().length, 2);
    clock.advance(STALLED_AFTER_MS - 1);
    await quiet();
    assert.equal(plane.discovery.connections().length, 2);
    clock.advance(1);
    await until("it is let go", () => plane.discovery.connections().length === 1);
    await until("and knows", () => stuck.closed);
    assert.match(plane.log.join("\n"), /stuck\.shop.* has taken nothing for 60 s/);
    plane.apply(`${services(300)}${slice(0, ["10.1.0.1"])}`);
    proxy.pushes.length = 0;
    await until("the other goes on", () => proxy.pushes.length > 0);
  });
});

describe("a reconnect", () => {
  it("to another run of the control plane sends only what changed meanwhile", async (context) => {
    const all = services(100);
    const first = await new Plane().start(context, `${all}${slice(0, ["10.1.0.1"])}`);
    const before = new DeltaProxy(context, first.port, "shop");
    await until("it has its routes", () => before.names("route").length > 0);
    before.close();
    first.stop();
    const second = await new Plane().start(context, `${all}${slice(0, ["10.1.0.2"])}`);
    const after = new DeltaProxy(context, second.port, "shop", before);
    await until("it has what changed", () => after.pushes.length > 0);
    await quiet();
    assert.deepEqual(after.pushes, ["endpoint outbound|8080||svc-0.shop.svc.cluster.local"]);
    assert.ok(after.bytes * 50 < before.bytes, `${after.bytes} of ${before.bytes} bytes`);
  });

  it("with the current version of the state of the world sends nothing", async (context) => {
    const plane = await new Plane().start(context, services(10));
    const ask = (version: string): { readonly versions: string[]; readonly sizes: number[] } => {
      const client = new grpc.Client(`127.0.0.1:${plane.port}`, grpc.credentials.createInsecure());
      const stream = client.makeBidiStreamRequest(STATE.path, STATE.requestSerialize, STATE.responseDeserialize);
      const seen: { readonly versions: string[]; readonly sizes: number[] } = { versions: [], sizes: [] };
      stream.on("error", () => undefined);
      stream.on("data", (response: DiscoveryResponse) => {
        seen.versions.push(response.versionInfo);
        seen.sizes.push(response.resources.length);
      });
      const request = { typeUrl: TYPE_URLS.cluster, versionInfo: version, node: nodeOf("a", "shop") };
      stream.write(DiscoveryRequest.fromPartial(request));
      context.after(() => client.close());
      return seen;
    };
    const first = ask("");
    await until("the clusters are there", () => first.versions.length > 0);
    const [version = ""] = first.versions;
    const again = ask(version);
    const other = ask("something older");
    await until("whoever has an older state gets the new one", () => other.versions.length > 0);
    await quiet();
    assert.deepEqual(other.sizes, first.sizes);
    assert.deepEqual(again.versions, []);
  });
});
