// The other process: proxies that want everything, count what they get, and tell when the last of them has it.

import http2 from "node:http2";
import { parseArgs } from "node:util";
import { isRecord } from "../../src/base/json.ts";
import { Node } from "../../src/proto/gen/envoy/config/core/v3/base.ts";
import { TYPE_URLS } from "../../src/serve/resource.ts";
import { NAMESPACE, PORT } from "./mesh.ts";
import { Deframer, frame, readDelta, readState, type Seen, textField } from "./wire.ts";

const PATHS = { delta: "DeltaAggregatedResources", sotw: "StreamAggregatedResources" } as const;
const VIRTUAL_HOST = "type.googleapis.com/envoy.config.route.v3.VirtualHost";
const ROUTES = String(PORT);
/** What a client lets the server send ahead. */
const WINDOW = 1024 * 1024;

interface Watched {
  readonly names: ReadonlySet<string>;
  readonly waiting: Set<LeanClient>;
}

let watched: Watched | undefined;

interface ClientOptions {
  readonly port: number;
  readonly index: number;
  readonly variant: "delta" | "sotw";
  readonly onComplete: () => void;
  readonly onRefused: (cause: string) => void;
}

class LeanClient {
  bytes = 0;
  complete = false;
  readonly #options: ClientOptions;
  readonly #session: http2.ClientHttp2Session;
  readonly #stream: http2.ClientHttp2Stream;
  readonly #asked = new Set<string>();
  /** By type, the fields that name what is subscribed: the state of the world repeats them in each answer. */
  readonly #named = new Map<string, Buffer>();
  #endpointsDue = 0;
  #hostsDue = 0;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#session = http2.connect(`http://127.0.0.1:${options.port}`, { settings: { initialWindowSize: WINDOW } });
    this.#session.on("connect", (session) => session.setLocalWindowSize(WINDOW));
    this.#session.on("error", (error) => options.onRefused(String(error)));
    this.#stream = this.#session.request({
      ":method": "POST",
      ":path": `/envoy.service.discovery.v3.AggregatedDiscoveryService/${PATHS[options.variant]}`,
      "content-type": "application/grpc",
      te: "trailers",
    });
    const deframer = new Deframer();
    this.#stream.on("data", (chunk: Buffer) => {
      this.bytes += chunk.length;
      deframer.push(chunk, (message) => this.#receive(message));
    });
    this.#stream.on("trailers", (trailers) => options.onRefused(`grpc-status ${String(trailers["grpc-status"])}`));
    this.#stream.on("error", (error) => options.onRefused(String(error)));
    const node = textField(this.#fields.node, Node.encode(nodeOf(options.index)).finish());
    this.#ask(TYPE_URLS.cluster, [node]);
    this.#ask(TYPE_URLS.listener, []);
  }

  get #fields() {
    return this.#options.variant === "delta"
      ? { node: 1, typeUrl: 2, names: 3, nonce: 6, version: undefined }
      : { node: 2, typeUrl: 4, names: 3, nonce: 5, version: 1 };
  }

  #ask(typeUrl: string, more: readonly Buffer[]): void {
    this.#asked.add(typeUrl);
    this.#stream.write(frame([...more, textField(this.#fields.typeUrl, typeUrl)]));
  }

  #subscribe(typeUrl: string, names: readonly (Buffer | string)[]): void {
    if (names.length === 0 || this.#asked.has(typeUrl)) return;
    const fields = Buffer.concat(names.map((name) => textField(this.#fields.names, name)));
    if (this.#options.variant === "sotw") this.#named.set(typeUrl, fields);
    this.#ask(typeUrl, [fields]);
  }

  #receive(message: Buffer): void {
    const seen = this.#options.variant === "delta" ? readDelta(message) : readState(message);
    const { nonce, version, typeUrl: typeField } = this.#fields;
    const answer = [textField(typeField, seen.typeUrl), textField(nonce, seen.nonce)];
    if (version !== undefined) answer.push(textField(version, seen.version));
    const named = this.#named.get(seen.typeUrl);
    if (named !== undefined) answer.push(named);
    this.#stream.write(frame(answer));
    this.#follow(seen);
    if (!this.complete) {
      this.complete = this.#hasEverything(seen);
      if (this.complete) this.#options.onComplete();
    }
    this.#tell(seen);
  }

  /** As a sidecar asks for what its clusters and listeners lead to. */
  #follow({ typeUrl, names, apart }: Seen): void {
    if (typeUrl === TYPE_URLS.cluster) {
      const discovered = names.filter((name) => name.subarray(0, 9).toString("latin1") === "outbound|");
      if (!this.#asked.has(TYPE_URLS.endpoint)) this.#endpointsDue = discovered.length;
      this.#subscribe(TYPE_URLS.endpoint, discovered);
    }
    if (typeUrl === TYPE_URLS.listener) this.#subscribe(TYPE_URLS.route, [ROUTES]);
    if (apart.length > 0) this.#subscribe(VIRTUAL_HOST, apart);
  }

  #hasEverything({ typeUrl, names, apart }: Seen): boolean {
    if (typeUrl === TYPE_URLS.endpoint) this.#endpointsDue -= names.length;
    if (typeUrl === TYPE_URLS.route) this.#hostsDue = apart.length;
    if (typeUrl === VIRTUAL_HOST) this.#hostsDue = 0;
    return this.#asked.has(TYPE_URLS.route) && typeUrl !== TYPE_URLS.listener
      ? this.#endpointsDue <= 0 && this.#hostsDue === 0 && typeUrl !== TYPE_URLS.cluster
      : false;
  }

  #tell({ names }: Seen): void {
    if (watched === undefined || !watched.waiting.has(this)) return;
    const { waiting } = watched;
    const wanted = watched.names;
    if (!names.some((name) => wanted.has(name.toString("latin1")))) return;
    waiting.delete(this);
    if (waiting.size === 0) report({ report: "all" });
  }
}

function nodeOf(index: number): Node {
  return Node.fromPartial({
    id: `sidecar~10.9.${index >> 8}.${index & 255}~client-${index}.${NAMESPACE}~${NAMESPACE}.svc.cluster.local`,
    userAgentName: "envoy",
    userAgentVersionType: {
      $case: "userAgentBuildVersion",
      value: { version: { majorNumber: 1, minorNumber: 40, patch: 0 } },
    },
  });
}

function report(message: Readonly<Record<string, unknown>>): void {
  process.send?.(message);
}

const clients: LeanClient[] = [];
const { values } = parseArgs({ options: { port: { type: "string" }, variant: { type: "string" } } });
const port = Number(values.port);
const variant = values.variant === "sotw" ? "sotw" : "delta";

function connect(count: number): void {
  let missing = count;
  let refused = 0;
  const before = clients.length;
  for (let i = 0; i < count; i++) {
    const client = new LeanClient({
      port,
      index: before + i,
      variant,
      onComplete: () => {
        if (--missing > 0) return;
        const bytes = clients.slice(before).reduce((sum, each) => sum + each.bytes, 0);
        report({ report: "connected", bytesPerClient: Math.round(bytes / count), refused });
      },
      onRefused: (cause) => {
        refused += 1;
        report({ report: "refused", cause });
      },
    });
    clients.push(client);
  }
}

process.on("message", (message) => {
  if (!isRecord(message)) return;
  if (typeof message["connect"] === "number") connect(message["connect"]);
  if (Array.isArray(message["watch"])) {
    watched = { names: new Set(message["watch"].map(String)), waiting: new Set(clients) };
    report({ report: "armed" });
  }
  if (message["count"] === true) {
    const { user, system } = process.cpuUsage();
    report({
      report: "counted",
      bytes: clients.reduce((sum, each) => sum + each.bytes, 0),
      cpuSeconds: (user + system) / 1e6,
    });
  }
});
report({ report: "ready" });
