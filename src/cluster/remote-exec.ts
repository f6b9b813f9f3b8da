// A command in a pod from outside the cluster's process, over WebSocket: the streams of this process are its own.

import { isRecord, parseJson } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { Credentials } from "./remote.ts";

export interface PodCommand {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string | undefined;
  readonly argv: readonly string[];
  readonly stdin: boolean;
  readonly tty: boolean;
}

const PROTOCOL = "v5.channel.k8s.io";
const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

/** The command's exit code; the error is why it did not run. */
export async function runInPod(credentials: Credentials, command: PodCommand): Promise<Result<number, string>> {
  const { WebSocket } = await import("ws");
  const query = new URLSearchParams({ stdout: "true", stderr: String(!command.tty) });
  if (command.container !== undefined) query.set("container", command.container);
  if (command.stdin) query.set("stdin", "true");
  if (command.tty) query.set("tty", "true");
  for (const word of command.argv) query.append("command", word);
  const path = `/api/v1/namespaces/${command.namespace}/pods/${encodeURIComponent(command.pod)}/exec?${query}`;
  const url = new URL(path, credentials.server.replace(/^http/, "ws"));
  const { ca, token } = credentials;
  const socket = new WebSocket(url, [PROTOCOL], {
    ...(ca === undefined ? {} : { ca }),
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  });
  const { promise, resolve } = Promise.withResolvers<Result<number, string>>();
  let outcome: Result<number, string> = err("the connection ended before the command did");
  const send = (channel: number, bytes: Buffer): void => socket.send(Buffer.concat([Buffer.from([channel]), bytes]));
  socket.on("open", () => {
    if (command.stdin) takeInput(command, send);
  });
  socket.on("message", (data) => {
    const bytes = Buffer.isBuffer(data) ? data : Buffer.concat(Array.isArray(data) ? data : [Buffer.from(data)]);
    const rest = bytes.subarray(1);
    if (bytes[0] === CHANNEL.stdout) process.stdout.write(rest);
    else if (bytes[0] === CHANNEL.stderr) process.stderr.write(rest);
    else if (bytes[0] === CHANNEL.error) outcome = exitOf(rest);
  });
  socket.on("unexpected-response", (_request, response) => {
    const chunks: Buffer[] = [];
    response.on("data", (chunk: Buffer) => chunks.push(chunk));
    response.on("end", () => resolve(err(messageOf(Buffer.concat(chunks), response.statusCode ?? 0))));
  });
  socket.on("error", (error) => resolve(err(error.message)));
  socket.on("close", () => resolve(outcome));
  const result = await promise;
  if (process.stdin.isTTY) process.stdin.setRawMode(false);
  process.stdin.pause();
  return result;
}

function takeInput({ tty }: PodCommand, send: (channel: number, bytes: Buffer) => void): void {
  const resize = (): void => {
    const { columns, rows } = process.stdout;
    send(CHANNEL.resize, Buffer.from(JSON.stringify({ Width: columns, Height: rows })));
  };
  if (tty) {
    process.stdin.setRawMode(true);
    resize();
    process.stdout.on("resize", resize);
  }
  process.stdin.on("data", (chunk: Buffer) => send(CHANNEL.stdin, chunk));
  process.stdin.on("end", () => send(CHANNEL.close, Buffer.from([CHANNEL.stdin])));
}

function exitOf(bytes: Buffer): Result<number, string> {
  const parsed = parseJson(bytes.toString("utf8"));
  const status = parsed.ok && isRecord(parsed.value) ? parsed.value : {};
  if (status["status"] === "Success") return ok(0);
  const details = isRecord(status["details"]) ? status["details"] : {};
  const causes = Array.isArray(details["causes"]) ? details["causes"].filter(isRecord) : [];
  const code = Number(causes.find(({ reason }) => reason === "ExitCode")?.["message"]);
  return Number.isInteger(code) ? ok(code) : err(String(status["message"] ?? "the command failed"));
}

function messageOf(body: Buffer, status: number): string {
  const parsed = parseJson(body.toString("utf8"));
  const message = parsed.ok && isRecord(parsed.value) ? parsed.value["message"] : undefined;
  return String(message ?? `the API answered ${status}`);
}
