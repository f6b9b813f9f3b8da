// One check of one host at a time: a request or a few bytes, on a connection of its own that is kept where it may be.

import type { Socket } from "node:net";
import type { Clock } from "../../base/clock.ts";
import { ClientCodec } from "../codec/client.ts";
import { RequestHead, type ResponseHead } from "../codec/head.ts";
import { HeaderList } from "../codec/headers.ts";
import { writeRequestHead } from "../codec/write.ts";
import type { HttpCheck, StatusRange, TcpCheck } from "../compile/health-check.ts";
import { HEAD_BYTES_MAX } from "../limits.ts";
import { type DialTarget, dial, type SessionCache } from "../socket/dial.ts";

export type ProbeResult =
  | { readonly kind: "success"; readonly degraded: boolean }
  /** `retriable`: it may answer so a few times before it is sick; otherwise it is at once. `leave`: it asks for no more calls. */
  | { readonly kind: "failure"; readonly retriable: boolean; readonly leave: boolean }
  | { readonly kind: "network" }
  | { readonly kind: "timeout" };

export interface ProbeOptions {
  readonly checker: HttpCheck | TcpCheck;
  readonly target: DialTarget;
  readonly authority: string;
  readonly keep: boolean;
  readonly clock: Clock;
  readonly sessions: SessionCache;
}

const CODEC_OPTIONS = {
  headersCountMax: 100,
  acceptHttp10: true,
  allowCustomMethods: false,
  headBytesMax: HEAD_BYTES_MAX,
};

export class Probe {
  readonly #options: ProbeOptions;
  #socket: Socket | undefined;
  #ready: Socket | undefined;
  #done: ((result: ProbeResult) => void) | undefined;
  #timer: { cancel(): void } | undefined;
  #codec = new ClientCodec(CODEC_OPTIONS);
  #received = Buffer.alloc(0);
  #response: ResponseHead | undefined;

  constructor(options: ProbeOptions) {
    this.#options = options;
  }

  run(done: (result: ProbeResult) => void): void {
    const { clock, target, sessions } = this.#options;
    this.#done = done;
    this.#received = Buffer.alloc(0);
    this.#response = undefined;
    this.#timer = clock.after(target.timeoutMs, () => this.#end({ kind: "timeout" }, false));
    if (this.#ready !== undefined) {
      this.#send(this.#ready);
      return;
    }
    const socket: Socket = dial(
      target,
      {
        onConnected: (ready) => {
          if (this.#socket !== ready || this.#done === undefined) ready.destroy();
          else this.#opened(ready);
        },
        onFailed: () => this.#onClosed(socket),
      },
      { clock, sessions },
    );
    this.#socket = socket;
  }

  close(): void {
    this.#done = undefined;
    this.#timer?.cancel();
    this.#drop();
  }

  #opened(socket: Socket): void {
    this.#codec = new ClientCodec(CODEC_OPTIONS);
    socket.on("data", (bytes: Buffer) => this.#onData(bytes));
    socket.on("end", () => {
      if (this.#socket === socket) this.#codec.finish();
      this.#onClosed(socket);
    });
    socket.on("error", () => this.#onClosed(socket));
    socket.on("close", () => this.#onClosed(socket));
    this.#ready = socket;
    this.#send(socket);
  }

  #send(socket: Socket): void {
    const { checker } = this.#options;
    if (checker.kind === "http") {
      this.#codec.begin(checker.method, {
        onInformational: ignore,
        onResponse: (head, ended) => {
          this.#response = head;
          if (ended) this.#judge(checker);
        },
        onBody: (chunk) => this.#collect(chunk, checker.bodyBytesMax),
        onEnd: () => this.#judge(checker),
        onProtocolError: () => this.#end({ kind: "network" }, false),
        onTunnel: ignore,
      });
      socket.write(requestText(checker, this.#options.authority), "latin1");
      if (checker.send !== undefined) socket.write(checker.send);
      return;
    }
    if (checker.send !== undefined) socket.write(checker.send);
    if (checker.receive.length === 0) this.#end({ kind: "success", degraded: false }, false);
  }

  #onData(bytes: Buffer): void {
    const { checker, keep } = this.#options;
    if (this.#done === undefined) {
      // Nothing was asked: whatever this peer speaks, the next check begins anew.
      this.#drop();
      return;
    }
    if (checker.kind === "http") {
      if (!this.#codec.push(bytes)) this.#drop();
      return;
    }
    this.#collect(bytes, TCP_BYTES_MAX);
    if (foundInOrder(this.#received, checker.receive)) this.#end({ kind: "success", degraded: false }, keep);
  }

  #collect(bytes: Buffer, bytesMax: number): void {
    const room = bytesMax - this.#received.length;
    if (room > 0) this.#received = Buffer.concat([this.#received, bytes.subarray(0, room)]);
  }

  #judge(checker: HttpCheck): void {
    const head = this.#response;
    if (head === undefined) return;
    this.#end(verdict(checker, head, this.#received), this.#options.keep && head.keepAlive);
  }

  #onClosed(socket: Socket): void {
    if (this.#socket !== socket) return;
    this.#end({ kind: "network" }, false);
  }

  #end(result: ProbeResult, keep: boolean): void {
    const done = this.#done;
    this.#done = undefined;
    this.#timer?.cancel();
    if (!keep) this.#drop();
    done?.(result);
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#ready = undefined;
    this.#codec.abandon();
    socket?.destroy();
  }
}

const TCP_BYTES_MAX = 64 * 1024;

function ignore(): void {
  // A check looks at the answer alone.
}

function requestText(checker: HttpCheck, authority: string): string {
  const headers = new HeaderList(["user-agent", "Envoy/HC"]);
  if (checker.send !== undefined) headers.add("content-length", String(checker.send.length));
  for (const { name, value, replaces } of checker.headers) {
    if (replaces) headers.set(name, value);
    else headers.add(name, value);
  }
  for (const name of checker.removed) headers.remove(name);
  const line = {
    method: checker.method,
    path: checker.path,
    authority,
    scheme: "http",
    http10: false,
    absoluteForm: false,
  };
  return writeRequestHead(new RequestHead(line, headers), headers);
}

function verdict(checker: HttpCheck, { headers, status }: ResponseHead, body: Buffer): ProbeResult {
  const leave = headers.has("x-envoy-immediate-health-check-fail");
  if (!within(checker.expected, status)) {
    return { kind: "failure", retriable: within(checker.retriable, status), leave };
  }
  const name = headers.get("x-envoy-upstream-healthchecked-cluster") ?? "";
  const isIt = checker.serviceName === undefined || checker.serviceName(name);
  if (!isIt || !foundInOrder(body, checker.receive)) return { kind: "failure", retriable: false, leave };
  return { kind: "success", degraded: headers.has("x-envoy-degraded") };
}

function within(ranges: readonly StatusRange[], status: number): boolean {
  return ranges.some(({ start, end }) => status >= start && status < end);
}

function foundInOrder(bytes: Buffer, parts: readonly Buffer[]): boolean {
  let at = 0;
  for (const part of parts) {
    const found = bytes.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return true;
}
