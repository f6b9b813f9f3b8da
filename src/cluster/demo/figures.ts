// What the demo has seen so far, as a value: pods, calls, traffic, split, ejections, certificates.

import type { Caller, LoadRecord, ProbeRecord, Service } from "./shop.ts";

export interface PodFigure {
  readonly name: string;
  readonly app: string;
  readonly ip: string;
  readonly ready: number;
  readonly containers: number;
  readonly phase: string;
  readonly restarts: number;
}

export interface CertificateFigure {
  readonly spiffe: string;
  readonly issuedMs: number;
  readonly notAfterMs: number;
}

export interface Split {
  readonly v1: number;
  readonly v2: number;
  readonly beta: number;
}

export interface Ejections {
  readonly active: number;
  readonly total: number;
}

/** How many seconds of load the figures cover: short enough to follow a change. */
const WINDOW_SECONDS = 10;

export class Figures {
  readonly pods = new Map<string, PodFigure>();
  readonly calls = new Map<string, number>();
  readonly certificates = new Map<string, CertificateFigure>();
  /** Services that answered, or not, to a client without a certificate. */
  readonly plaintext = new Map<Service, "refused" | "answered" | "unreachable">();
  /** Answers by version since the start; `beta:v2` for those who asked for it. */
  readonly versions = new Map<string, number>();
  ejections: Ejections = { active: 0, total: 0 };
  totalRequests = 0;
  totalErrors = 0;
  lastError: string | undefined;
  firstAnswerMs: number | undefined;
  #split: Split = { v1: 0, v2: 0, beta: 0 };
  #splits: Split[] = [];
  #load: LoadRecord[] = [];

  addProbe(record: ProbeRecord): void {
    this.calls.set(callKey(record.from, record.to), record.status);
  }

  addLoad(record: LoadRecord, nowMs: number): void {
    this.#load = [...this.#load, record].slice(-WINDOW_SECONDS);
    this.totalRequests += record.requests;
    this.totalErrors += record.errors;
    for (const [version, count] of Object.entries(record.versions)) {
      this.versions.set(version, (this.versions.get(version) ?? 0) + count);
    }
    if (record.lastError !== undefined) this.lastError = record.lastError;
    if (record.requests > record.errors) this.firstAnswerMs ??= nowMs;
  }

  /** The sidecars' counters, which only grow. */
  setSplit(split: Split): void {
    this.#split = split;
    this.#splits = [...this.#splits, split].slice(-(WINDOW_SECONDS + 1));
  }

  get totalSplit(): Split {
    return this.#split;
  }

  /** The split of the last seconds alone, so that a change of weights shows at once. */
  get recentSplit(): Split {
    const first = this.#splits[0];
    if (first === undefined || this.#splits.length < 2) return this.#split;
    return {
      v1: Math.max(0, this.#split.v1 - first.v1),
      v2: Math.max(0, this.#split.v2 - first.v2),
      beta: Math.max(0, this.#split.beta - first.beta),
    };
  }

  call(from: Caller, to: Service): number | undefined {
    return this.calls.get(callKey(from, to));
  }

  get requestsPerSecond(): number {
    if (this.#load.length === 0) return 0;
    return this.#load.reduce((sum, record) => sum + record.requests, 0) / this.#load.length;
  }

  get recentErrors(): number {
    return this.#load.reduce((sum, record) => sum + record.errors, 0);
  }

  /** Milliseconds; undefined before the first answer. */
  percentile(share: number): number | undefined {
    const sorted = this.#load.flatMap((record) => record.milliseconds).sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  }
}

function callKey(from: Caller, to: Service): string {
  return `${from} ${to}`;
}
