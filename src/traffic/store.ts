// What the proxies' counters have grown by, round by round. A round is one visit to every proxy; counters that begin
// anew and pods that are gone are seen here, so that nobody who asks has to think of them.

import { BOUNDS_MS, Counts } from "./counts.ts";
import { type Flow, flowKey, flowOf } from "./flow.ts";
import {
  CELLS_MAX,
  COARSE_ROUND_MS,
  COARSE_ROUNDS_MAX,
  FINE_ROUNDS_MAX,
  FLOWS_MAX,
  PROXIES_MAX,
  SERIES_MAX,
} from "./limits.ts";
import { PrometheusReader, parseLabels } from "./prometheus-text.ts";

/** How a sample's growth is counted. */
type Grow = (counts: Counts, by: number) => void;

interface Series {
  readonly flow: Flow;
  readonly grow: Grow;
  last: number;
}

/** One proxy's counters as they were last seen; undefined stands for what is no part of any flow. */
type ProxySeries = Map<string, Series | undefined>;

export interface Round {
  startMs: number;
  readonly endMs: number;
  readonly flows: ReadonlyMap<Flow, Counts>;
}

export interface StoreSize {
  readonly proxies: number;
  readonly series: number;
  readonly flows: number;
  readonly rounds: number;
  /** Samples that were not counted, for lack of room. */
  readonly refused: number;
}

export class TrafficStore {
  readonly #proxies = new Map<string, ProxySeries>();
  readonly #flows = new Map<string, Flow>();
  #series = 0;
  #cells = 0;
  #refused = 0;
  #fine: Round[] = [];
  #coarse: Round[] = [];
  #open = new Map<Flow, Counts>();
  #lastEndMs: number | undefined;

  /** Takes one proxy's page; `proxy` is any name that stays the same. Call `end` of the reader with the page's end. */
  reader(proxy: string): PrometheusReader {
    const known = this.#proxies.get(proxy);
    const series: ProxySeries = known ?? new Map();
    if (known === undefined && this.#proxies.size < PROXIES_MAX) this.#proxies.set(proxy, series);
    // What a proxy had counted before it was first asked belongs to no round.
    const isFirst = known === undefined;
    return new PrometheusReader("istio_", (name, labels, value) => {
      if (COUNTED.has(name)) this.#sample(series, `${name}{${labels}`, { name, labels, value, isFirst });
    });
  }

  /** Ends a round: every proxy that would answer has answered. */
  endRound(nowMs: number): void {
    const startMs = this.#lastEndMs;
    this.#lastEndMs = nowMs;
    const flows = this.#open;
    this.#open = new Map();
    if (startMs === undefined || startMs >= nowMs) {
      for (const [flow, counts] of flows) this.#countsOf(flow).add(counts);
      return;
    }
    this.#fine.push({ startMs, endMs: nowMs, flows });
    this.#cells += flows.size;
    this.#shrink();
  }

  /** Forgets the counters of proxies that are gone; what they have counted stays. */
  keep(proxies: ReadonlySet<string>): void {
    for (const [name, series] of this.#proxies) {
      if (proxies.has(name)) continue;
      this.#series -= series.size;
      this.#proxies.delete(name);
    }
  }

  /** The oldest first. */
  rounds(): readonly Round[] {
    return [...this.#coarse, ...this.#fine];
  }

  size(): StoreSize {
    return {
      proxies: this.#proxies.size,
      series: this.#series,
      flows: this.#flows.size,
      rounds: this.#fine.length + this.#coarse.length,
      refused: this.#refused,
    };
  }

  #sample(all: ProxySeries, key: string, sample: Sample): void {
    let series = all.get(key);
    if (series === undefined && !all.has(key)) {
      if (this.#series >= SERIES_MAX) {
        this.#refused += 1;
        return;
      }
      series = this.#newSeries(sample);
      all.set(key, series);
      this.#series += 1;
    }
    if (series === undefined) return;
    const { value } = sample;
    // A counter that is below what it was has begun anew.
    const by = value >= series.last ? value - series.last : value;
    series.last = value;
    if (by > 0 && Number.isFinite(by)) series.grow(this.#countsOf(series.flow), by);
  }

  #newSeries({ name, labels, value, isFirst }: Sample): Series | undefined {
    const parsed = parseLabels(labels);
    const grow = growthOf(name, parsed);
    const flow = grow === undefined ? undefined : flowOf(parsed);
    if (grow === undefined || flow === undefined) return undefined;
    const key = flowKey(flow);
    let shared = this.#flows.get(key);
    if (shared === undefined) {
      if (this.#flows.size >= FLOWS_MAX) this.#forgetFlows();
      if (this.#flows.size >= FLOWS_MAX) {
        this.#refused += 1;
        return undefined;
      }
      shared = flow;
      this.#flows.set(key, flow);
    }
    return { flow: shared, grow, last: isFirst ? value : 0 };
  }

  /** Flows that no proxy counts any more and no round has seen make room for new ones. */
  #forgetFlows(): void {
    const used = new Set<Flow>(this.#open.keys());
    for (const series of this.#proxies.values()) for (const one of series.values()) if (one) used.add(one.flow);
    for (const round of this.rounds()) for (const flow of round.flows.keys()) used.add(flow);
    for (const [key, flow] of this.#flows) if (!used.has(flow)) this.#flows.delete(key);
  }

  #countsOf(flow: Flow): Counts {
    let counts = this.#open.get(flow);
    if (counts === undefined) {
      counts = new Counts();
      this.#open.set(flow, counts);
    }
    return counts;
  }

  #shrink(): void {
    while (this.#fine.length > FINE_ROUNDS_MAX) this.#joinOldest();
    while (this.#coarse.length > COARSE_ROUNDS_MAX || (this.#cells > CELLS_MAX && this.#coarse.length > 0)) {
      this.#cells -= this.#coarse.shift()?.flows.size ?? 0;
    }
    while (this.#cells > CELLS_MAX && this.#fine.length > 1) this.#cells -= this.#fine.shift()?.flows.size ?? 0;
  }

  /** The oldest fine round becomes part of the newest coarse one, or begins a new one. */
  #joinOldest(): void {
    const oldest = this.#fine.shift();
    if (oldest === undefined) return;
    const last = this.#coarse.at(-1);
    if (last === undefined || oldest.endMs - last.startMs > COARSE_ROUND_MS) {
      this.#coarse.push(oldest);
      return;
    }
    const joined = joinRounds(last, oldest);
    this.#cells += joined.flows.size - last.flows.size - oldest.flows.size;
    this.#coarse[this.#coarse.length - 1] = joined;
  }
}

interface Sample {
  readonly name: string;
  readonly labels: string;
  readonly value: number;
  readonly isFirst: boolean;
}

function joinRounds(first: Round, second: Round): Round {
  const flows = new Map<Flow, Counts>();
  for (const { flows: part } of [first, second]) {
    for (const [flow, counts] of part) {
      const sum = flows.get(flow) ?? new Counts();
      flows.set(flow, sum);
      sum.add(counts);
    }
  }
  return { startMs: first.startMs, endMs: second.endMs, flows };
}

const COUNTED: ReadonlySet<string> = new Set([
  "istio_requests_total",
  "istio_request_duration_milliseconds_bucket",
  "istio_request_duration_milliseconds_sum",
  "istio_request_duration_milliseconds_count",
  "istio_tcp_sent_bytes_total",
  "istio_tcp_received_bytes_total",
  "istio_tcp_connections_opened_total",
  "istio_tcp_connections_closed_total",
]);

function growthOf(name: string, labels: ReadonlyMap<string, string>): Grow | undefined {
  switch (name) {
    case "istio_requests_total":
      return requestGrowth(labels);
    case "istio_request_duration_milliseconds_bucket":
      return bucketGrowth(labels.get("le") ?? "");
    case "istio_request_duration_milliseconds_sum":
      return (counts, by) => {
        counts.durationSumMs += by;
      };
    case "istio_request_duration_milliseconds_count":
      return (counts, by) => {
        counts.durations += by;
      };
    case "istio_tcp_sent_bytes_total":
      return (counts, by) => {
        counts.sentBytes += by;
      };
    case "istio_tcp_received_bytes_total":
      return (counts, by) => {
        counts.receivedBytes += by;
      };
    case "istio_tcp_connections_opened_total":
      return (counts, by) => {
        counts.opened += by;
      };
    case "istio_tcp_connections_closed_total":
      return (counts, by) => {
        counts.closed += by;
      };
    default:
      return undefined;
  }
}

function requestGrowth(labels: ReadonlyMap<string, string>): Grow {
  const code = labels.get("response_code") ?? "0";
  const flags = labels.get("response_flags") ?? "-";
  const grpc = labels.get("grpc_response_status") ?? "";
  const isFailure = code === "0" || code.startsWith("5") || GRPC_SERVER_FAULTS.has(grpc);
  const told = [code, flags === "-" ? "" : flags, grpc === "" || grpc === "0" ? "" : `grpc ${grpc}`]
    .filter((part) => part !== "")
    .join(" ");
  return (counts, by) => {
    counts.requests += by;
    if (isFailure) counts.failures += by;
    counts.answered(told, by);
  };
}

/** Unknown, deadline exceeded, unimplemented, internal, unavailable, data loss: by OpenTelemetry's conventions the server's. */
const GRPC_SERVER_FAULTS: ReadonlySet<string> = new Set(["2", "4", "12", "13", "14", "15"]);

function bucketGrowth(le: string): Grow | undefined {
  const index = BOUNDS_MS.indexOf(Number(le));
  if (index < 0) return undefined;
  return (counts, by) => counts.inBucket(index, by);
}
