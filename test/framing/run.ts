// One case through a proxy: sent raw, in pieces if wanted; what the client and the origin saw.

import { connect, type Socket } from "node:net";
import { type FramingCase, SENTINEL } from "./case.ts";
import { pause, type RawOrigin, type Recorded } from "./origin.ts";
import { readResponse } from "./reference.ts";

export interface Outcome {
  readonly answers: readonly string[];
  readonly closed: boolean;
  readonly origin: Recorded;
  /** By which its lines in the access log are found. */
  readonly clientPort: number;
}

export interface World {
  readonly origin: RawOrigin;
  port(listener: "plain" | "rich"): number;
}

/** How a text is cut into writes: the identity, or pieces that arrive one after the other. */
export type Cutter = (text: string) => readonly string[];

const PATIENCE_MS = 1500;

export async function runCase(one: FramingCase, world: World, cut: Cutter, patienceMs = PATIENCE_MS): Promise<Outcome> {
  world.origin.prepare(one.origin1);
  const socket = connect({ port: world.port(one.listener ?? "plain"), host: "127.0.0.1", allowHalfOpen: true });
  socket.setNoDelay(true);
  let got = "";
  socket.on("data", (bytes) => {
    got += bytes.toString("latin1");
  });
  const over = new Promise<void>((resolve) => {
    socket.on("end", resolve);
    socket.on("error", () => resolve());
    socket.on("close", resolve);
  });
  await new Promise<void>((resolve) => socket.on("connect", resolve));
  const clientPort = socket.localPort ?? 0;
  await send(socket, one, cut);
  const timer = new AbortController();
  const late = new Promise<string>((resolve) => {
    const handle = setTimeout(() => resolve("late"), patienceMs);
    timer.signal.addEventListener("abort", () => clearTimeout(handle));
  });
  const closed = (await Promise.race([over, late])) !== "late";
  timer.abort();
  socket.destroy();
  return { answers: readAnswers(got, one), closed, origin: await world.origin.record(), clientPort };
}

async function send(socket: Socket, one: FramingCase, cut: Cutter): Promise<void> {
  const pieces = typeof one.send === "string" ? [one.send] : [...one.send];
  if (one.after !== "half-closed") pieces.push(`${pieces.pop() ?? ""}${SENTINEL}`);
  for (const [index, piece] of pieces.entries()) {
    if (index > 0) await pause(20);
    for (const part of cut(piece)) {
      if (!socket.writable) return;
      socket.write(part, "latin1");
      if (part !== piece) await new Promise((resolve) => setImmediate(resolve));
    }
  }
  if (one.after === "half-closed") {
    await pause(10);
    socket.end();
  }
}

function readAnswers(text: string, one: FramingCase): readonly string[] {
  const answers: string[] = [];
  let at = 0;
  let answersHead = /^HEAD /.test(typeof one.send === "string" ? one.send : (one.send[0] ?? ""));
  while (at < text.length) {
    const read = readResponse(text, at, { answersHead, ended: true });
    if (read.kind === "bad") return [...answers, `bad: ${read.why}`];
    if (read.kind === "partial") return [...answers, `cut: ${read.text.slice(0, 3)}`];
    answers.push(own(read.text, text.slice(at, read.next)));
    if (!/^1(?!01)/.test(read.text)) answersHead = false;
    at = read.next;
    if (!read.upgrade) continue;
    if (at < text.length) answers.push(`tunnel ${text.slice(at)}`);
    break;
  }
  return answers;
}

/** What the proxy answers by itself is compared by its status. */
function own(read: string, raw: string): string {
  const fromOrigin = /\r\nx-envoy-upstream-service-time:/i.test(raw) || /^[12]/.test(read);
  return fromOrigin ? read.replaceAll(/ (connection|keep-alive)=\S*/g, "") : read.slice(0, 3);
}
