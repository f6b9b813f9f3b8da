// Many clients of delta discovery in one process, which come back with what they have, and count what they are sent.

import http2 from "node:http2";
import { Deframer, frame } from "../../../bench/control/wire.ts";
import { isRecord } from "../../../src/base/json.ts";
import { Node } from "../../../src/proto/gen/envoy/config/core/v3/base.ts";
import {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
} from "../../../src/proto/gen/envoy/service/discovery/v3/discovery.ts";
import { type ResourceType, TYPE_URLS, typeOf } from "../../../src/serve/resource.ts";

const PATH = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
const ROUTES = "8080";
const BACK_OFF = { leastMs: 200, spreadMs: 800 };
const WINDOW = 1024 * 1024;

const port = Number(process.argv[2]);
const counted = { bytes: 0, resources: 0, removed: 0, again: 0 };
let watched: { readonly name: string; readonly waiting: Set<Client> } | undefined;
let refusing = 0;

class Client {
  stuck = false;
  readonly #index: number;
  readonly #held = new Map<ResourceType, Map<string, string>>();
  #asked = new Set<ResourceType>();
  #stream: http2.ClientHttp2Stream | undefined;

  constructor(index: number) {
    this.#index = index;
    this.#connect();
  }

  pause(): void {
    this.stuck = true;
    this.#stream?.pause();
  }

  /** Whether all that its clusters and listeners lead to is there. */
  get isComplete(): boolean {
    const clusters = this.#discovered();
    return clusters.length > 0 && this.#of("endpoint").size === clusters.length && this.#of("virtualHost").size > 0;
  }

  #discovered(): readonly string[] {
    return [...this.#of("cluster").keys()].filter((name) => name.startsWith("outbound|"));
  }

  read(): void {
    this.stuck = false;
    this.#stream?.resume();
  }

  #connect(): void {
    const session = http2.connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: WINDOW } });
    const again = once(() => {
      session.destroy();
      setTimeout(() => this.#connect(), BACK_OFF.leastMs + Math.random() * BACK_OFF.spreadMs);
    });
    session.on("error", again);
    session.on("close", again);
    session.on("connect", () => session.setLocalWindowSize(WINDOW));
    const stream = session.request({
      ":method": "POST",
      ":path": PATH,
      "content-type": "application/grpc",
      te: "trailers",
    });
    this.#stream = stream;
    stream.on("error", again);
    stream.on("close", again);
    const deframer = new Deframer();
    stream.on("data", (chunk: Buffer) => {
      counted.bytes += chunk.length;
      deframer.push(chunk, (message) => this.#receive(DeltaDiscoveryResponse.decode(message)));
    });
    this.#asked = new Set();
    this.#ask("cluster", [], true);
    this.#ask("listener", []);
    this.#follow();
  }

  #write(request: Partial<DeltaDiscoveryRequest>): void {
    if (this.#stream?.writable !== true) return;
    this.#stream.write(
      frame([Buffer.from(DeltaDiscoveryRequest.encode(DeltaDiscoveryRequest.fromPartial(request)).finish())]),
    );
  }

  #ask(type: ResourceType, names: readonly string[], first = false): void {
    if (this.#asked.has(type)) return;
    this.#asked.add(type);
    const initialResourceVersions = Object.fromEntries(this.#of(type));
    const node = first ? { node: nodeOf(this.#index) } : {};
    this.#write({ typeUrl: TYPE_URLS[type], resourceNamesSubscribe: [...names], initialResourceVersions, ...node });
  }

  #of(type: ResourceType): Map<string, string> {
    const held = this.#held.get(type) ?? new Map<string, string>();
    this.#held.set(type, held);
    return held;
  }

  #follow(): void {
    const clusters = this.#discovered();
    if (clusters.length > 0) this.#ask("endpoint", clusters);
    if (this.#of("listener").size > 0) this.#ask("route", [ROUTES]);
    if (this.#of("route").size > 0) this.#ask("virtualHost", [ROUTES]);
  }

  #receive(response: DeltaDiscoveryResponse): void {
    const type = typeOf(response.typeUrl);
    if (type === undefined) throw new Error(`nobody asked for ${response.typeUrl}`);
    const { typeUrl, nonce: responseNonce } = response;
    if (this.#index < refusing) {
      this.#write({ typeUrl, responseNonce, errorDetail: { code: 3, message: "not this one", details: [] } });
      return;
    }
    const held = this.#of(type);
    counted.resources += response.resources.length;
    counted.removed += response.removedResources.length;
    for (const { name, version } of response.resources) {
      if (held.get(name) === version) counted.again += 1;
      held.set(name, version);
    }
    for (const name of response.removedResources) held.delete(name);
    this.#write({ typeUrl, responseNonce });
    this.#follow();
    if (watched === undefined || !response.resources.some(({ name }) => name === watched?.name)) return;
    watched.waiting.delete(this);
    if (watched.waiting.size === 0) {
      watched = undefined;
      process.send?.({ report: "all" });
    }
  }
}

function nodeOf(index: number): Node {
  return Node.fromPartial({
    id: `sidecar~10.9.${index >> 8}.${index & 255}~client-${index}.shop~shop.svc.cluster.local`,
    userAgentName: "envoy",
    userAgentVersionType: {
      $case: "userAgentBuildVersion",
      value: { version: { majorNumber: 1, minorNumber: 40, patch: 0 } },
    },
  });
}

function once(run: () => void): () => void {
  let done = false;
  return () => {
    if (!done) run();
    done = true;
  };
}

const clients: Client[] = [];

process.on("message", (message) => {
  if (!isRecord(message)) return;
  const { connect, stick, refuse, watch } = message;
  if (typeof connect === "number") for (let i = 0; i < connect; i++) clients.push(new Client(clients.length));
  if (typeof stick === "number" && stick > 0) for (const client of clients.slice(-stick)) client.pause();
  if (stick === 0) for (const client of clients) client.read();
  if (typeof refuse === "number") refusing = refuse;
  if (message["mark"] === true) Object.assign(counted, { bytes: 0, resources: 0, removed: 0, again: 0 });
  if (typeof watch === "string") {
    watched = { name: watch, waiting: new Set(clients.slice(refusing).filter(({ stuck }) => !stuck)) };
    process.send?.({ report: "watching" });
  }
  if (message["count"] === true) {
    const complete = clients.filter(({ isComplete }) => isComplete).length;
    process.send?.({ report: "counted", complete, ...counted });
  }
});
process.send?.({ report: "ready" });
