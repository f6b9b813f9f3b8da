// Visits the proxies for what they have counted: often while somebody looks or a rollout is judged, else rarely.

import http from "node:http";
import type { Clock, Timer } from "../base/clock.ts";
import type { Scope } from "../observe/metrics.ts";
import type { PrometheusReader } from "../traffic/prometheus-text.ts";
import { TrafficView } from "../traffic/query.ts";
import { TrafficStore } from "../traffic/store.ts";
import {
  SCRAPE_ACTIVE_MS,
  SCRAPE_BYTES_MAX,
  SCRAPE_IDLE_MS,
  SCRAPE_SKIP_ROUNDS_MAX,
  SCRAPE_TIMEOUT_MS,
  SCRAPES_MAX,
} from "./limits.ts";

export interface ScrapeTarget {
  /** `namespace/pod`. */
  readonly name: string;
  readonly address: string;
  readonly port: number;
}

export interface TrafficCollectorOptions {
  readonly clock: Clock;
  /** The proxies that are there now. */
  readonly targets: () => readonly ScrapeTarget[];
  /** Where the collector's own numbers go. */
  readonly scope: Scope;
}

/** Of proxies that did not answer: how often in a row, and for how many rounds they are left out. */
interface Silence {
  failures: number;
  skip: number;
}

export class TrafficCollector {
  readonly view: TrafficView;
  readonly #options: TrafficCollectorOptions;
  readonly #store = new TrafficStore();
  readonly #silent = new Map<string, Silence>();
  readonly #wanted = new Set<symbol>();
  #timer: Timer | undefined;
  #round: Promise<void> | undefined;
  #stopped = false;

  constructor(options: TrafficCollectorOptions) {
    this.#options = options;
    this.view = new TrafficView(this.#store);
    this.#schedule();
  }

  /** Numbers are kept fresh until what is returned is called. */
  want(): () => void {
    const mark = Symbol();
    this.#wanted.add(mark);
    if (this.#wanted.size === 1) void this.refresh();
    return () => this.#wanted.delete(mark);
  }

  /** Resolves with the end of a round that began now or is under way. */
  refresh(): Promise<void> {
    this.#timer?.cancel();
    this.#round ??= this.#visitAll().finally(() => {
      this.#round = undefined;
      this.#schedule();
    });
    return this.#round;
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #schedule(): void {
    this.#timer?.cancel();
    if (this.#stopped) return;
    const delayMs = this.#wanted.size > 0 ? SCRAPE_ACTIVE_MS : SCRAPE_IDLE_MS;
    this.#timer = this.#options.clock.after(delayMs, () => void this.refresh());
  }

  async #visitAll(): Promise<void> {
    const { clock, targets } = this.#options;
    const all = new Map(targets().map((target) => [target.name, target]));
    this.#store.keep(new Set(all.keys()));
    for (const name of this.#silent.keys()) if (!all.has(name)) this.#silent.delete(name);
    const due = [...all.values()].filter(({ name }) => !this.#isSkipped(name));
    const queue = due.values();
    const lane = async (): Promise<void> => {
      // The lanes share one iterator: each takes the next target that nobody has.
      for (const target of queue) if (!this.#stopped) await this.#visit(target);
    };
    await Promise.all(Array.from({ length: Math.min(SCRAPES_MAX, due.length) }, lane));
    if (this.#stopped) return;
    this.#store.endRound(clock.wallMs());
    const { series, flows } = this.#store.size();
    this.#options.scope.gauge("weft_traffic_series").set(series);
    this.#options.scope.gauge("weft_traffic_flows").set(flows);
  }

  #isSkipped(name: string): boolean {
    const silence = this.#silent.get(name);
    if (silence === undefined || silence.skip === 0) return false;
    silence.skip -= 1;
    return true;
  }

  async #visit(target: ScrapeTarget): Promise<void> {
    const isRead = await readPage(target, this.#store.reader(target.name));
    if (isRead) {
      this.#silent.delete(target.name);
      return;
    }
    this.#options.scope.counter("weft_traffic_scrape_failures_total").inc();
    const failures = (this.#silent.get(target.name)?.failures ?? 0) + 1;
    this.#silent.set(target.name, { failures, skip: Math.min(SCRAPE_SKIP_ROUNDS_MAX, 2 ** failures - 2) });
  }
}

/** False where there was no whole page. What had been read until then is right all the same: counters are absolute. */
function readPage({ address, port }: ScrapeTarget, reader: PrometheusReader): Promise<boolean> {
  return new Promise((resolve) => {
    const request = http.get({
      host: address,
      port,
      path: "/stats/prometheus",
      headers: { accept: "text/plain;version=0.0.4" },
      agent: false,
    });
    const finish = (isRead: boolean): void => {
      clearTimeout(timer);
      resolve(isRead);
      request.destroy();
    };
    const timer = setTimeout(() => finish(false), SCRAPE_TIMEOUT_MS);
    request.on("error", () => finish(false));
    request.once("response", (response) => {
      if (response.statusCode !== 200) return finish(false);
      let length = 0;
      response.setEncoding("utf8");
      response.on("data", (piece: string) => {
        length += piece.length;
        if (length > SCRAPE_BYTES_MAX) finish(false);
        else reader.feed(piece);
      });
      response.on("error", () => finish(false));
      response.on("end", () => {
        reader.end();
        finish(true);
      });
    });
  });
}
