// The store's own thread: a flood of spans costs neither the API server nor the control plane, which share a process, their turn.

import { createSocket, type Socket } from "node:dgram";
import { mkdirSync } from "node:fs";
import type { Server } from "node:net";
import { join } from "node:path";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../base/clock.ts";
import { listen } from "../base/listen.ts";
import { SpanDatabase } from "./database.ts";
import { Intake } from "./intake.ts";
import { DATAGRAM_BUFFER_BYTES } from "./limits.ts";
import { findTraces, getTrace, listServices } from "./questions.ts";
import { readJaeger } from "./read-jaeger.ts";
import { grpcReceiver } from "./receive-grpc.ts";
import { httpReceiver } from "./receive-http.ts";
import type { Answer, FromThread, Question, ThreadStart, ToThread, TracePorts } from "./thread-wire.ts";

const start: ThreadStart = workerData;
if (parentPort !== null) await runStore(start, parentPort);

async function runStore({ directory, address, ports, bounds }: ThreadStart, parent: MessagePort): Promise<void> {
  const tell = (message: FromThread): void => parent.postMessage(message);
  mkdirSync(directory, { recursive: true });
  const database = SpanDatabase.open(join(directory, "spans.db"), bounds);
  const warn = (message: string): void => tell({ kind: "warn", message });
  const intake = new Intake({ clock: systemClock, database, retryMs: bounds.retryMs, warn });
  const grpc = grpcReceiver(intake);
  const otlp = httpReceiver(intake);
  const zipkin = httpReceiver(intake);
  const jaeger = jaegerReceiver(intake);
  const bound: TracePorts = {
    otlpGrpc: await open(grpc, address, ports.otlpGrpc),
    otlpHttp: await open(otlp, address, ports.otlpHttp),
    zipkin: await open(zipkin, address, ports.zipkin),
    jaeger: await bind(jaeger, address, ports.jaeger),
  };
  parent.on("message", (message: ToThread) => {
    if (message.kind === "ask") {
      intake.flush();
      tell({ kind: "answer", id: message.id, answer: answer(database, intake, message.question) });
      return;
    }
    otlp.closeAllConnections();
    zipkin.closeAllConnections();
    for (const server of [grpc, otlp, zipkin]) server.close();
    jaeger.close();
    intake.close();
    database.close();
    tell({ kind: "closed" });
    // Connections of gRPC would keep the thread.
    process.exit(0);
  });
  tell({ kind: "ready", ports: bound });
}

function answer(database: SpanDatabase, intake: Intake, question: Question): Answer {
  const { kind } = question;
  try {
    switch (kind) {
      case "find":
        return { kind, traces: findTraces(database, question.query) };
      case "get":
        return { kind, trace: getTrace(database, question.traceId) };
      case "services":
        return { kind, services: listServices(database) };
      case "stats":
        return { kind, stats: intake.stats() };
    }
  } catch (error) {
    return { kind: "failed", message: error instanceof Error ? error.message : String(error) };
  }
}

function jaegerReceiver(intake: Intake): Socket {
  const socket = createSocket({ type: "udp4", recvBufferSize: DATAGRAM_BUFFER_BYTES });
  socket.on("message", (bytes) => {
    const spans = readJaeger(bytes);
    if (spans.ok) intake.take(spans.value, "jaeger");
    else intake.onMalformed();
  });
  return socket;
}

/** On the wanted port, or, where somebody has it, on a free one. */
async function open(server: Server, host: string, port: number): Promise<number> {
  const wanted = await listen(server, { host, port });
  if (wanted.ok) return wanted.value;
  const free = await listen(server, { host, port: 0 });
  if (!free.ok) throw new Error(free.error);
  return free.value;
}

async function bind(socket: Socket, address: string, port: number): Promise<number> {
  const tryPort = (wanted: number): Promise<boolean> =>
    new Promise((resolve) => {
      socket.once("error", () => resolve(false));
      socket.bind(wanted, address, () => {
        socket.removeAllListeners("error");
        // Of a single datagram, which is lost then.
        socket.on("error", () => undefined);
        resolve(true);
      });
    });
  if (!(await tryPort(port)) && !(await tryPort(0))) throw new Error(`no UDP port on ${address} can be opened`);
  return socket.address().port;
}
