// The local cluster's trace store: a thread that takes spans by all protocols that proxies and applications speak, keeps a
// bounded number of them on disk, and answers what is asked.

import { Worker } from "node:worker_threads";
import { err, ok, type Result } from "../base/result.ts";
import { type DatabaseBounds, DEFAULT_BOUNDS } from "./database.ts";
import { ANSWER_MS_MAX, HEAP_MB_MAX, RESTART_MS } from "./limits.ts";
import type { Answer, FromThread, Question, ThreadStart, ToThread, TracePorts } from "./thread-wire.ts";
import type { TraceQuery, TraceReader } from "./trace.ts";

export interface TraceStoreOptions {
  /** Where the database lies. */
  readonly directory: string;
  readonly address: string;
  /** Where they are free; others are taken otherwise. */
  readonly ports: TracePorts;
  readonly warn: (message: string) => void;
  readonly bounds?: DatabaseBounds;
}

export interface TraceStore extends TraceReader {
  readonly ports: TracePorts;
  close(): Promise<void>;
}

/** What each protocol's usual port is. */
export const USUAL_PORTS: TracePorts = { otlpGrpc: 4317, otlpHttp: 4318, zipkin: 9411, jaeger: 6831 };

export async function startTraceStore(options: TraceStoreOptions): Promise<Result<TraceStore, string>> {
  const { directory, address, ports, warn, bounds = DEFAULT_BOUNDS } = options;
  const store = new StoreHandle({ directory, address, ports, bounds }, warn);
  const started = await store.start();
  return started.ok ? ok(store) : started;
}

class StoreHandle implements TraceStore {
  ports: TracePorts;
  readonly #start: ThreadStart;
  readonly #warn: (message: string) => void;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #worker: Worker | undefined;
  #questions = 0;
  #hasRun = false;
  #closing = false;
  #closed: () => void = () => undefined;

  constructor(start: ThreadStart, warn: (message: string) => void) {
    this.#start = start;
    this.ports = start.ports;
    this.#warn = warn;
  }

  start(): Promise<Result<void, string>> {
    return new Promise((resolve) => {
      const worker = new Worker(ENTRY, {
        workerData: { ...this.#start, ports: this.ports },
        resourceLimits: { maxOldGenerationSizeMb: HEAP_MB_MAX },
      });
      this.#worker = worker;
      worker.on("message", (message: FromThread) => {
        if (message.kind === "ready") {
          this.ports = message.ports;
          this.#hasRun = true;
          resolve(ok(undefined));
        } else this.#receive(message);
      });
      worker.on("error", (error: Error) => {
        resolve(err(error.message));
        this.#onGone(worker, error.message);
      });
      worker.on("exit", () => {
        resolve(err("it ended"));
        this.#onGone(worker, "it ended");
      });
    });
  }

  async find(query: TraceQuery): ReturnType<TraceReader["find"]> {
    const answer = await this.#ask({ kind: "find", query });
    return answer.kind === "find" ? answer.traces : failed(answer);
  }

  async get(traceId: string): ReturnType<TraceReader["get"]> {
    const answer = await this.#ask({ kind: "get", traceId });
    return answer.kind === "get" ? answer.trace : failed(answer);
  }

  async services(): ReturnType<TraceReader["services"]> {
    const answer = await this.#ask({ kind: "services" });
    return answer.kind === "services" ? answer.services : failed(answer);
  }

  async stats(): ReturnType<TraceReader["stats"]> {
    const answer = await this.#ask({ kind: "stats" });
    return answer.kind === "stats" ? answer.stats : failed(answer);
  }

  async close(): Promise<void> {
    this.#closing = true;
    const worker = this.#worker;
    if (worker === undefined) return;
    const closed = new Promise<void>((resolve) => {
      this.#closed = resolve;
    });
    this.#tell({ kind: "close" });
    const timer = setTimeout(() => this.#closed(), ANSWER_MS_MAX);
    await closed;
    clearTimeout(timer);
    await worker.terminate();
  }

  #receive(message: Exclude<FromThread, { kind: "ready" }>): void {
    switch (message.kind) {
      case "answer":
        this.#waiting.get(message.id)?.(message.answer);
        break;
      case "warn":
        this.#warn(message.message);
        break;
      case "closed":
        this.#closed();
        break;
    }
  }

  #ask(question: Question): Promise<Answer> {
    this.#questions += 1;
    const id = this.#questions;
    return new Promise((resolve) => {
      const done = (answer: Answer): void => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        resolve(answer);
      };
      const timer = setTimeout(() => done({ kind: "failed", message: "it does not answer" }), ANSWER_MS_MAX);
      this.#waiting.set(id, done);
      if (this.#worker === undefined) done({ kind: "failed", message: "it is being started again" });
      else this.#tell({ kind: "ask", id, question });
    });
  }

  #tell(message: ToThread): void {
    this.#worker?.postMessage(message);
  }

  #onGone(worker: Worker, why: string): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    for (const done of this.#waiting.values()) done({ kind: "failed", message: why });
    if (this.#closing) {
      this.#closed();
      return;
    }
    if (!this.#hasRun) return;
    this.#warn(`the trace store ended and is started again: ${why}`);
    setTimeout(() => {
      if (!this.#closing) void this.start();
    }, RESTART_MS).unref();
  }
}

const ENTRY = new URL(import.meta.url.endsWith(".ts") ? "./thread.ts" : "./thread.js", import.meta.url);

function failed(answer: Answer): never {
  throw new Error(`the trace store: ${answer.kind === "failed" ? answer.message : "another question was answered"}`);
}
