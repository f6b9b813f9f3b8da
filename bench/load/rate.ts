// An open-loop load: latency counts from the instant at which a request was due, so that a proxy that stalls is charged
// for every request that it kept waiting (wrk and h2load count from when a connection became free to send).

import net from "node:net";
import type { LoadAnswer, LoadCommand } from "./command.ts";
import { quantiles } from "./quantiles.ts";

type RateCommand = Extract<LoadCommand, { kind: "rate" }>;

const WARM_SECONDS = 0.5;
/** How long the last answers are waited for. */
const TAIL_MS = 2000;

export async function runRate(command: RateCommand): Promise<LoadAnswer> {
  const lanes = await Promise.all(Array.from({ length: command.connections }, () => openLane(command)));
  const run = new RateRun(command, lanes);
  try {
    return await run.done;
  } finally {
    for (const lane of lanes) lane.socket.destroy();
  }
}

interface Lane {
  readonly socket: net.Socket;
  readonly reader: ResponseReader;
  dueMs: number;
}

class RateRun {
  readonly done: Promise<LoadAnswer>;
  readonly #command: RateCommand;
  readonly #request: string;
  readonly #idle: Lane[];
  /** When each request was due that found no free connection; read from the front. */
  readonly #waiting: number[] = [];
  #waitingAt = 0;
  readonly #samples: Float64Array;
  readonly #total: number;
  readonly #warm: number;
  readonly #startMs = performance.now();
  #sent = 0;
  #answered = 0;
  #recorded = 0;
  #failures = 0;
  #resolve: (answer: LoadAnswer) => void = () => undefined;

  constructor(command: RateCommand, lanes: readonly Lane[]) {
    this.#command = command;
    this.#request = `GET ${command.path} HTTP/1.1\r\nhost: bench\r\n\r\n`;
    this.#idle = [...lanes];
    this.#warm = Math.floor(WARM_SECONDS * command.requestsPerSecond);
    this.#total = this.#warm + Math.floor(command.seconds * command.requestsPerSecond);
    this.#samples = new Float64Array(this.#total);
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    for (const lane of lanes) this.#listen(lane);
    this.#turn();
  }

  /** A timer is a millisecond coarse: this process has its core to itself and looks at the clock in every turn. */
  #turn(): void {
    const nowMs = performance.now();
    const stepMs = 1000 / this.#command.requestsPerSecond;
    while (this.#sent < this.#total) {
      const dueMs = this.#startMs + this.#sent * stepMs;
      if (dueMs > nowMs) break;
      this.#sent += 1;
      const lane = this.#idle.shift();
      if (lane === undefined) this.#waiting.push(dueMs);
      else this.#send(lane, dueMs);
    }
    const endMs = this.#startMs + this.#total * stepMs;
    if (this.#answered + this.#failures >= this.#total || nowMs > endMs + TAIL_MS) this.#finish();
    else setImmediate(() => this.#turn());
  }

  #send(lane: Lane, dueMs: number): void {
    lane.dueMs = dueMs;
    lane.socket.write(this.#request, "latin1");
  }

  #listen(lane: Lane): void {
    lane.socket.on("data", (chunk: Buffer) => {
      const status = lane.reader.push(chunk);
      if (status === 0) return;
      if (status === 200) this.#record(performance.now() - lane.dueMs);
      else this.#failures += 1;
      const next = this.#waiting[this.#waitingAt];
      if (next === undefined) this.#idle.push(lane);
      else {
        this.#waitingAt += 1;
        this.#send(lane, next);
      }
    });
    lane.socket.on("error", () => lane.socket.destroy());
  }

  #record(tookMs: number): void {
    this.#answered += 1;
    if (this.#answered <= this.#warm) return;
    this.#samples[this.#recorded] = tookMs;
    this.#recorded += 1;
  }

  #finish(): void {
    this.#resolve({
      done: this.#recorded,
      failures: this.#total - this.#answered,
      tookSeconds: this.#command.seconds,
      resumed: 0,
      ...quantiles(this.#samples.subarray(0, this.#recorded)),
    });
  }
}

function openLane(command: RateCommand): Promise<Lane> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port: command.port, host: "127.0.0.1", noDelay: true });
    socket.once("error", reject);
    socket.once("connect", () => resolve({ socket, reader: new ResponseReader(), dueMs: 0 }));
  });
}

/** Answers with a content-length, one at a time. */
export class ResponseReader {
  #head = "";
  #status = 0;
  #missing = -1;

  /** The status once the response is complete, 0 before. */
  push(chunk: Buffer): number {
    let bytes = chunk.length;
    if (this.#missing < 0) {
      const had = this.#head.length;
      this.#head += chunk.toString("latin1");
      const end = this.#head.indexOf("\r\n\r\n");
      if (end === -1) return 0;
      this.#status = Number(this.#head.slice(9, 12));
      this.#missing = Number(/\r\ncontent-length: *(\d+)/i.exec(this.#head)?.[1] ?? 0);
      bytes = had + chunk.length - end - 4;
      this.#head = "";
    }
    this.#missing -= bytes;
    if (this.#missing > 0) return 0;
    this.#missing = -1;
    return this.#status;
  }
}
