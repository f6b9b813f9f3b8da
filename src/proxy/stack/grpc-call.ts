// A gRPC call of the proxy's own: one message there, one back, over HTTP/2 to a host that its cluster picks. Loaded with the first.

import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import type { Clock } from "../../base/clock.ts";
import type { GrpcRequest, GrpcResult } from "../filters/caller.ts";
import { dial } from "../socket/dial.ts";
import type { Host } from "../upstream/host.ts";

/** One session a host; it goes when the host's connection does. */
const sessions = new WeakMap<Host, Promise<ClientHttp2Session>>();

const H2 = ["h2"];

/** `done` is called once, unless the returned function gave the call up before; never before this has returned. */
export function callGrpc(
  host: Host,
  request: GrpcRequest,
  clock: Clock,
  done: (result: GrpcResult) => void,
): () => void {
  const call = new GrpcCall(host, request, clock, done);
  call.start();
  return () => call.giveUp();
}

class GrpcCall {
  readonly #host: Host;
  readonly #request: GrpcRequest;
  readonly #clock: Clock;
  readonly #done: (result: GrpcResult) => void;
  readonly #timer: { cancel(): void };
  #stream: ClientHttp2Stream | undefined;
  #over = false;

  constructor(host: Host, request: GrpcRequest, clock: Clock, done: (result: GrpcResult) => void) {
    this.#host = host;
    this.#request = request;
    this.#clock = clock;
    this.#done = done;
    this.#timer = clock.after(request.timeoutMs, () => {
      host.cluster.stats.counters.upstream_rq_timeout.inc();
      host.onLocalOrigin("timeout");
      this.#fail(`no answer within ${request.timeoutMs} ms`);
    });
  }

  start(): void {
    const { requests } = this.#host.cluster.breaker("default");
    if (!requests.available) {
      this.#clock.after(0, () => this.#fail("a circuit breaker is open"));
      return;
    }
    requests.take();
    const { counters, gauges } = this.#host.cluster.stats;
    counters.upstream_rq_total.inc();
    gauges.upstream_rq_active.add(1);
    this.#host.stats.rq_total += 1;
    this.#host.stats.rq_active += 1;
    this.#onEnd = () => {
      requests.give();
      gauges.upstream_rq_active.add(-1);
      this.#host.stats.rq_active -= 1;
    };
    sessionTo(this.#host, this.#clock).then(
      (session) => this.#send(session),
      (error: unknown) => this.#fail(error instanceof Error ? error.message : String(error)),
    );
  }

  giveUp(): void {
    this.#end();
  }

  #onEnd: () => void = () => undefined;

  #send(session: ClientHttp2Session): void {
    if (this.#over) return;
    const { path, authority, metadata, message, timeoutMs, responseBytesMax } = this.#request;
    const stream = session.request({
      ...Object.fromEntries(metadata.map(({ name, value }) => [name, value])),
      ":method": "POST",
      ":path": path,
      ":authority": authority,
      "content-type": "application/grpc",
      te: "trailers",
      "grpc-timeout": `${Math.ceil(timeoutMs)}m`,
    });
    this.#stream = stream;
    const chunks: Buffer[] = [];
    let bytes = 0;
    let status = "";
    let text = "";
    const read = (headers: Readonly<Record<string, unknown>>) => {
      if (headers[":status"] !== undefined && headers[":status"] !== 200) status ||= `HTTP ${headers[":status"]}`;
      if (headers["grpc-status"] !== undefined) status = String(headers["grpc-status"]);
      if (headers["grpc-message"] !== undefined) text = String(headers["grpc-message"]);
    };
    stream.on("response", read);
    stream.on("trailers", read);
    stream.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > responseBytesMax + FRAME_HEAD) this.#fail(`its answer is longer than ${responseBytesMax} bytes`);
      else chunks.push(chunk);
    });
    stream.on("error", (error) => this.#fail(error.message));
    stream.on("close", () => {
      const isEmpty = bytes === 0 && this.#request.mayAnswerNothing === true;
      const answer = isEmpty ? NOTHING : unframe(Buffer.concat(chunks));
      if (status !== "0") this.#fail(status === "" ? "the stream was closed" : `status ${status} ${text}`.trim());
      else if (answer === undefined) this.#fail("its answer is not one message");
      else this.#answer(answer);
    });
    stream.end(frame(message));
  }

  #answer(message: Buffer): void {
    if (this.#over) return;
    this.#host.cluster.stats.response(200);
    this.#host.onResponse(200);
    this.#end();
    this.#done({ kind: "answer", message });
  }

  #fail(message: string): void {
    if (this.#over) return;
    this.#end();
    this.#done({ kind: "failed", reason: `cluster ${this.#request.cluster}: ${message}` });
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer.cancel();
    this.#onEnd();
    this.#stream?.close(constants.NGHTTP2_CANCEL);
  }
}

const NOTHING = Buffer.alloc(0);
const FRAME_HEAD = 5;

function frame(message: Buffer): Buffer {
  const head = Buffer.alloc(FRAME_HEAD);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** Undefined: compressed, cut short, or more than one. */
function unframe(bytes: Buffer): Buffer | undefined {
  if (bytes.length < FRAME_HEAD || bytes[0] !== 0) return undefined;
  return bytes.readUInt32BE(1) === bytes.length - FRAME_HEAD ? bytes.subarray(FRAME_HEAD) : undefined;
}

function sessionTo(host: Host, clock: Clock): Promise<ClientHttp2Session> {
  let session = sessions.get(host);
  if (session === undefined) {
    session = open(host, clock);
    sessions.set(host, session);
    session.catch(() => sessions.delete(host));
  }
  return session;
}

function open(host: Host, clock: Clock): Promise<ClientHttp2Session> {
  const { cluster, endpoint, tls } = host;
  const { stats, config } = cluster;
  return new Promise((resolve, reject) => {
    stats.counters.upstream_cx_total.inc();
    const target = {
      host: endpoint.host,
      port: endpoint.port,
      path: endpoint.path,
      tls,
      // What the configuration offers holds, as in Envoy: by the mesh's own protocols a sidecar knows its peers.
      alpnProtocols: tls === undefined || tls.config.alpnProtocols.length > 0 ? undefined : H2,
      timeoutMs: config.connectTimeoutMs,
      localAddress: cluster.sourceFor(endpoint.host),
      keepAlive: config.keepAlive,
      // One session serves calls of every authority.
      name: undefined,
    };
    dial(
      target,
      {
        onConnected: (socket) => {
          host.onLocalOrigin("success");
          stats.gauges.upstream_cx_active.add(1);
          host.stats.cx_active += 1;
          const session = connect(`http://${endpoint.address}`, { createConnection: () => socket });
          session.on("error", () => session.destroy());
          session.on("goaway", () => sessions.delete(host));
          session.on("close", () => {
            sessions.delete(host);
            stats.gauges.upstream_cx_active.add(-1);
            host.stats.cx_active -= 1;
          });
          session.unref();
          resolve(session);
        },
        onFailed: (kind, message) => {
          stats.counters.upstream_cx_connect_fail.inc();
          host.onLocalOrigin(kind === "timeout" ? "timeout" : "connect-failure");
          reject(new Error(message));
        },
      },
      { clock, sessions: cluster.sessions },
    );
  });
}
