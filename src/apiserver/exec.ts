// kubectl exec and attach over WebSocket: channels of bytes to and from a command beside a container, or its own process.

import type { IncomingMessage } from "node:http";
import type { Duplex, Readable } from "node:stream";
import type { WebSocket } from "ws";
import type { Pod } from "../api/kubernetes/pod.ts";
import { assert } from "../base/assert.ts";
import { isRecord, parseJson } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import { EXEC_ARGUMENTS_MAX, EXEC_SESSIONS_MAX, STREAM_BUFFER_BYTES_MAX, TERMINAL_SIDE_MAX } from "./limits.ts";
import { LINE_TERMINAL_NOTE, LineInput, withCarriageReturns } from "./line-terminal.ts";
import type { ContainerRef, ExecRequest, ExecSession, PodRuntime, TerminalSize } from "./pod-runtime.ts";
import { findContainer } from "./pod-streams.ts";
import { forwardPorts, PORT_FORWARD_PROTOCOL } from "./port-forward.ts";
import type { Resources } from "./resources.ts";
import type { ResourceRoute } from "./route.ts";
import { type ApiFailure, badRequest, failure, type StatusObject, toStatus } from "./status.ts";

const PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;
const STREAM_END_WAIT_MS = 500;

export interface Upgrade {
  readonly message: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

type Kind = "exec" | "attach" | "portforward";

export const SESSION_SUBRESOURCES: readonly string[] = ["exec", "attach", "portforward"] satisfies readonly Kind[];

export class SessionHandler {
  readonly #resources: Resources;
  readonly #runtime: PodRuntime;
  #sessions = 0;

  constructor(resources: Resources, runtime: PodRuntime) {
    this.#resources = resources;
    this.#runtime = runtime;
  }

  async handle(upgrade: Upgrade, route: ResourceRoute, query: URLSearchParams): Promise<void> {
    const kind = kindOf(route);
    const request = kind === "exec" ? execRequest(query) : ok(streamRequest(query));
    if (!request.ok) return refuseUpgrade(upgrade.socket, request.error);
    const asked = kind === "portforward" ? "*" : query.get("container");
    const found = await findContainer(this.#resources, route, asked);
    if (!found.ok) return refuseUpgrade(upgrade.socket, found.error);
    const { pod, ref } = found.value;
    const phase = pod.status?.phase;
    if (phase === "Succeeded" || phase === "Failed") {
      const what = kind === "portforward" ? "forward ports of" : `${kind} into a container in`;
      return refuseUpgrade(upgrade.socket, badRequest(`cannot ${what} a completed pod; current phase is ${phase}`));
    }
    // Said before the protocol is looked at: kubectl asks once more in its older protocol when the first try is refused.
    const waiting = kind === "portforward" ? undefined : whyNotRunning(pod, ref.container);
    if (waiting !== undefined) return refuseUpgrade(upgrade.socket, waiting);
    const protocol = protocolFor(upgrade.message, kind);
    if (!protocol.ok) return refuseUpgrade(upgrade.socket, protocol.error);
    if (this.#sessions >= EXEC_SESSIONS_MAX) {
      const text = `there are already ${EXEC_SESSIONS_MAX} exec, attach and port-forward sessions`;
      return refuseUpgrade(upgrade.socket, failure(429, "TooManyRequests", text));
    }
    this.#sessions += 1;
    try {
      if (kind === "portforward") await this.#forward(upgrade, ref);
      else await this.#run(upgrade, protocol.value, { kind, ref, request: request.value, query });
    } finally {
      this.#sessions -= 1;
    }
  }

  async #forward(upgrade: Upgrade, ref: ContainerRef): Promise<void> {
    const socket = await accept(upgrade, PORT_FORWARD_PROTOCOL);
    if (socket !== undefined) await forwardPorts(socket, this.#runtime, ref);
  }

  async #run(
    upgrade: Upgrade,
    protocol: string,
    asked: {
      readonly kind: "exec" | "attach";
      readonly ref: ContainerRef;
      readonly request: ExecRequest;
      readonly query: URLSearchParams;
    },
  ): Promise<void> {
    const { ref, request, query } = asked;
    const started =
      asked.kind === "exec" ? await this.#runtime.exec(ref, request) : await this.#runtime.attach(ref, request);
    if (!started.ok) return refuseUpgrade(upgrade.socket, started.error);
    await serve(upgrade, protocol, { session: started.value, query });
  }
}

function kindOf(route: ResourceRoute): Kind {
  return route.subresource === "portforward" || route.subresource === "attach" ? route.subresource : "exec";
}

function protocolFor(message: IncomingMessage, kind: Kind): Result<string, ApiFailure> {
  const offered = (message.headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
  const spoken = kind === "portforward" ? [PORT_FORWARD_PROTOCOL] : PROTOCOLS;
  const protocol = spoken.find((name) => offered.includes(name));
  if (String(message.headers.upgrade).toLowerCase() === "websocket" && protocol !== undefined) return ok(protocol);
  return err(badRequest(`${kind} speaks WebSocket with ${spoken.join(" or ")}; kubectl does from 1.31 on`));
}

function execRequest(query: URLSearchParams): Result<ExecRequest, ApiFailure> {
  const command = query.getAll("command");
  if (command.length === 0) return err(badRequest("you must specify at least one command for the container"));
  if (command.length > EXEC_ARGUMENTS_MAX)
    return err(badRequest(`a command has at most ${EXEC_ARGUMENTS_MAX} arguments`));
  return ok({ ...streamRequest(query), command });
}

function streamRequest(query: URLSearchParams): ExecRequest {
  return { command: [], stdin: isTrue(query.get("stdin")), tty: isTrue(query.get("tty")) };
}

function isTrue(value: string | null): boolean {
  return value === "true" || value === "1";
}

/** An answer in plain HTTP on a socket that was to become something else. */
export function refuseUpgrade(socket: Duplex, error: ApiFailure): void {
  const body = JSON.stringify(toStatus(error));
  socket.end(
    `HTTP/1.1 ${error.code} ${error.reason}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

async function accept(upgrade: Upgrade, protocol: string): Promise<WebSocket | undefined> {
  const { WebSocketServer } = await import("ws");
  const server = new WebSocketServer({ noServer: true, maxPayload: STREAM_BUFFER_BYTES_MAX });
  // The library takes the slash in a tunnel's name for a mistake: the protocol is chosen here, past it.
  Reflect.deleteProperty(upgrade.message.headers, "sec-websocket-protocol");
  server.on("headers", (headers) => headers.push(`Sec-WebSocket-Protocol: ${protocol}`));
  return new Promise<WebSocket | undefined>((resolve) => {
    upgrade.socket.on("error", () => resolve(undefined));
    upgrade.socket.on("close", () => resolve(undefined));
    server.handleUpgrade(upgrade.message, upgrade.socket, upgrade.head, resolve);
  });
}

async function serve(
  upgrade: Upgrade,
  protocol: string,
  { session, query }: { session: ExecSession; query: URLSearchParams },
): Promise<void> {
  const socket = await accept(upgrade, protocol);
  if (socket === undefined) {
    session.kill();
    return;
  }
  const isClosed = new Promise<"closed">((resolve) => socket.on("close", () => resolve("closed")));
  socket.on("error", () => socket.terminate());
  const ends = connect(socket, session, query);
  const outcome = await Promise.race([session.exited, isClosed]);
  if (outcome === "closed") {
    session.kill();
    return;
  }
  // A grandchild may keep the streams open: the command's own end decides, after a moment for its last output.
  await Promise.race([Promise.all(ends), delay(STREAM_END_WAIT_MS), isClosed]);
  socket.send(frame(CHANNEL.error, Buffer.from(JSON.stringify(exitStatus(outcome.exitCode)))));
  socket.close(1000);
}

/** Joins the command's streams to the channels; resolves each when its stream has ended. */
function connect(socket: WebSocket, session: ExecSession, query: URLSearchParams): Promise<void>[] {
  const { resize } = session;
  if (isTrue(query.get("tty"))) {
    if (resize === undefined) return connectLines(socket, session, isTrue(query.get("stdin")));
    socket.on("message", (data) => {
      const size = Buffer.isBuffer(data) && data[0] === CHANNEL.resize ? sizeOf(data.subarray(1)) : undefined;
      if (size !== undefined) resize(size);
    });
  }
  receive(socket, session, (bytes) => session.stdin.write(bytes));
  const same = (chunk: Buffer): Buffer => chunk;
  const ends: Promise<void>[] = [];
  for (const name of ["stdout", "stderr"] as const) {
    const source = session[name];
    if (isTrue(query.get(name))) ends.push(pump(source, socket, { channel: CHANNEL[name], convert: same }));
    else source.resume();
  }
  return ends;
}

/** With a terminal there is one output, and keys instead of bytes. */
function connectLines(socket: WebSocket, session: ExecSession, isInteractive: boolean): Promise<void>[] {
  const show = (text: string): void => socket.send(frame(CHANNEL.stdout, Buffer.from(text, "latin1")));
  if (isInteractive) show(LINE_TERMINAL_NOTE);
  const input = new LineInput({
    echo: show,
    line: (bytes) => session.stdin.write(bytes),
    end: () => session.stdin.end(),
    interrupt: () => session.kill(),
  });
  receive(socket, session, (bytes) => {
    input.keys(bytes);
    return true;
  });
  const target = { channel: CHANNEL.stdout, convert: withCarriageReturns };
  return [pump(session.stdout, socket, target), pump(session.stderr, socket, target)];
}

/** `take` returns false when the command does not keep up. */
function receive(socket: WebSocket, session: ExecSession, take: (bytes: Buffer) => boolean): void {
  session.stdin.on("error", () => session.stdin.destroy());
  socket.on("message", (data) => {
    const bytes = Buffer.isBuffer(data) ? data : Buffer.concat(Array.isArray(data) ? data : [Buffer.from(data)]);
    const [channel, argument] = bytes;
    if (channel === CHANNEL.stdin && !session.stdin.writableEnded) {
      if (!take(bytes.subarray(1))) {
        socket.pause();
        session.stdin.once("drain", () => socket.resume());
        session.stdin.once("close", () => socket.resume());
      }
    } else if (channel === CHANNEL.close && argument === CHANNEL.stdin) session.stdin.end();
  });
}

/** `{"Width":120,"Height":40}` */
function sizeOf(bytes: Buffer): TerminalSize | undefined {
  const parsed = parseJson(bytes.toString("utf8"));
  if (!parsed.ok || !isRecord(parsed.value)) return undefined;
  const [columns, rows] = [Number(parsed.value["Width"]), Number(parsed.value["Height"])];
  const isSize = (value: number): boolean => Number.isInteger(value) && value > 0 && value <= TERMINAL_SIDE_MAX;
  return isSize(columns) && isSize(rows) ? { columns, rows } : undefined;
}

function pump(
  source: Readable,
  socket: WebSocket,
  target: { readonly channel: number; readonly convert: (chunk: Buffer) => Buffer },
): Promise<void> {
  source.on("data", (chunk: Buffer) => {
    socket.send(frame(target.channel, target.convert(chunk)), () => {
      if (source.isPaused() && socket.bufferedAmount < STREAM_BUFFER_BYTES_MAX) source.resume();
    });
    if (socket.bufferedAmount > STREAM_BUFFER_BYTES_MAX) source.pause();
  });
  return new Promise((resolve) => {
    source.on("end", resolve);
    source.on("error", () => resolve());
    source.on("close", resolve);
  });
}

function frame(channel: number, bytes: Buffer): Buffer {
  assert(channel >= 0 && channel <= 255, `a channel is one byte, got ${channel}`);
  return Buffer.concat([Buffer.from([channel]), bytes]);
}

function exitStatus(exitCode: number): StatusObject {
  const base = { kind: "Status", apiVersion: "v1", metadata: {} } as const;
  if (exitCode === 0) return { ...base, status: "Success" };
  return {
    ...base,
    status: "Failure",
    reason: "NonZeroExitCode",
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    details: { causes: [{ reason: "ExitCode", message: String(exitCode) }] },
  };
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

function whyNotRunning(pod: Pod, container: string): ApiFailure | undefined {
  const statuses = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
  const state = statuses.find((status) => status.name === container)?.state;
  if (state === undefined || state.running !== undefined) return undefined;
  const why = state.waiting?.reason ?? state.terminated?.reason ?? "it has not started";
  return failure(500, "InternalError", `unable to upgrade connection: container "${container}" is not running: ${why}`);
}
