// Questions about what was counted: who calls whom, how a service and its versions fare, and how that went over time.

import { Counts } from "./counts.ts";
import { type Flow, UNKNOWN, type Workload } from "./flow.ts";
import { LINES_MAX, POINTS_MAX } from "./limits.ts";
import type { Round, TrafficStore } from "./store.ts";

/**
 * `lastSeconds`: the rounds that reach into that time; a round that began earlier counts as a whole, and rates are over
 * the time that was really counted. `sinceMs`: only rounds that began then or later (wall clock).
 */
export type Window = { readonly lastSeconds: number } | { readonly sinceMs: number };

export interface Numbers {
  readonly requests: number;
  readonly failures: number;
  readonly requestsPerSecond: number;
  /** 0 to 1; 0 where there were no requests. */
  readonly failureShare: number;
  /** Undefined where no request was measured. */
  readonly meanMs: number | undefined;
  readonly p50Ms: number | undefined;
  readonly p90Ms: number | undefined;
  readonly p99Ms: number | undefined;
  /** `200`, `503 UH`, `200 grpc 14`: code, response flags, gRPC status; the most frequent first. */
  readonly codes: readonly { readonly code: string; readonly count: number }[];
  readonly connectionsOpened: number;
  readonly connectionsClosed: number;
  /** TCP only: towards the client, and from it. */
  readonly sentBytesPerSecond: number;
  readonly receivedBytesPerSecond: number;
}

export interface Edge extends Numbers {
  readonly source: Workload;
  readonly destination: Workload;
  readonly service: string;
  readonly serviceName: string;
  readonly serviceNamespace: string;
  /** `http`, `grpc`, `tcp`, sorted. */
  readonly protocols: readonly string[];
  /** `mixed`: some of it is encrypted and some is not. */
  readonly security: "mutual_tls" | "none" | "mixed" | "unknown";
  /** Whose proxy counted. The caller's is preferred: only it sees requests that reached nobody. */
  readonly reporter: Flow["reporter"];
}

export interface Version extends Numbers {
  readonly workload: string;
  readonly namespace: string;
  readonly version: string;
}

export interface ServiceTraffic extends Numbers {
  readonly service: string;
  readonly serviceName: string;
  readonly serviceNamespace: string;
  readonly versions: readonly Version[];
  /** Who calls it. */
  readonly callers: readonly Edge[];
  /** What its workloads call. */
  readonly calls: readonly Edge[];
}

/** Every part that is given must be equal. */
export interface FlowFilter {
  readonly reporter?: Flow["reporter"];
  readonly service?: string;
  readonly serviceName?: string;
  readonly serviceNamespace?: string;
  readonly sourceWorkload?: string;
  readonly sourceNamespace?: string;
  /** One of several where it is a list. */
  readonly workload?: string | readonly string[];
  readonly workloadNamespace?: string;
  readonly version?: string;
}

export type Measure =
  | "requestsPerSecond"
  | "failureShare"
  | "meanMs"
  | "p50Ms"
  | "p90Ms"
  | "p99Ms"
  | "sentBytesPerSecond"
  | "receivedBytesPerSecond";

export interface SeriesQuery {
  readonly measure: Measure;
  readonly filter?: FlowFilter;
  /** One line for each of these; absent: one line in all. */
  readonly by?: "source" | "workload" | "version" | "service";
}

export interface Line {
  /** What it is of, by `by`: `production/api-v2`, `v2`, `api.production.svc.cluster.local`; empty for the only line. */
  readonly name: string;
  /** Undefined where nothing was counted or measured in that step. */
  readonly points: readonly { readonly atMs: number; readonly value: number | undefined }[];
}

export class TrafficView {
  readonly #store: TrafficStore;

  constructor(store: TrafficStore) {
    this.#store = store;
  }

  /** When the last round ended; undefined before the first one that counted. */
  newestMs(): number | undefined {
    return this.#store.rounds().at(-1)?.endMs;
  }

  edges(windowSeconds: number): readonly Edge[] {
    return edgesOf(this.#sum({ lastSeconds: windowSeconds }));
  }

  /** What one application asks of one service by one protocol, whichever of its versions asks and whichever answers. */
  calls(windowSeconds: number): readonly Edge[] {
    return edgesOf(this.#sum({ lastSeconds: windowSeconds }), callKey);
  }

  /** Every service that was called. */
  services(windowSeconds: number): readonly ServiceTraffic[] {
    const sum = this.#sum({ lastSeconds: windowSeconds });
    const edges = edgesOf(sum);
    const services = new Map(edges.map((edge) => [`${edge.serviceNamespace}/${edge.serviceName}`, edge]));
    return [...services.values()].map((one) => serviceOf(one, edges, sum));
  }

  /** `name`: a host, or `namespace/name`. Undefined where nobody called it. */
  service(name: string, windowSeconds: number): ServiceTraffic | undefined {
    return this.services(windowSeconds).find(
      ({ service, serviceName, serviceNamespace }) => service === name || `${serviceNamespace}/${serviceName}` === name,
    );
  }

  /** All flows that the filter lets through, as one. Name a reporter, or what both sides counted counts twice. */
  measure(filter: FlowFilter, window: Window): Numbers {
    const { flows, seconds } = this.#sum(window);
    return numbersOf(join([...flows].filter(([flow]) => passes(flow, filter))), seconds);
  }

  /** Lines of a chart, from an instant (wall clock) to the newest round. */
  series(query: SeriesQuery, fromMs: number, stepSeconds: number): readonly Line[] {
    const rounds = this.#store.rounds().filter(({ endMs }) => endMs > fromMs);
    const newestMs = rounds.at(-1)?.endMs;
    if (newestMs === undefined) return [];
    const stepMs = Math.max(stepSeconds * 1_000, (newestMs - fromMs) / POINTS_MAX, 1);
    // The side that counts is one and the same for every step of every line.
    const counted = new Set(edgeFlows(sumOf(rounds, { sinceMs: 0 })));
    const steps = Map.groupBy(rounds, ({ startMs, endMs }) =>
      Math.max(0, Math.floor(((startMs + endMs) / 2 - fromMs) / stepMs)),
    );
    const last = Math.max(...steps.keys());
    const lines = new Map<string, (number | undefined)[]>();
    for (const [step, part] of steps) {
      const { flows, seconds } = sumOf(part, { sinceMs: 0 });
      const passing = [...flows].filter(
        ([flow]) => passes(flow, query.filter ?? {}) && (query.filter?.reporter !== undefined || counted.has(flow)),
      );
      for (const [name, group] of Map.groupBy(passing, ([flow]) => lineName(flow, query.by))) {
        if (!lines.has(name) && lines.size >= LINES_MAX) continue;
        const values = lines.get(name) ?? [];
        lines.set(name, values);
        values[step] = numbersOf(join(group), seconds)[query.measure];
      }
    }
    return [...lines].map(([name, values]) => ({
      name,
      points: Array.from({ length: last + 1 }, (_none, step) => ({
        atMs: Math.round(fromMs + step * stepMs),
        value: values[step] ?? quiet(query.measure, steps.has(step)),
      })),
    }));
  }

  #sum(window: Window): Sum {
    return sumOf(this.#store.rounds(), window);
  }
}

/** A line that was not heard of in a step that was counted: no traffic is a rate of zero, and has no latency. */
function quiet(measure: Measure, wasCounted: boolean): number | undefined {
  return wasCounted && measure.endsWith("PerSecond") ? 0 : undefined;
}

interface Sum {
  readonly flows: ReadonlyMap<Flow, Counts>;
  readonly seconds: number;
}

function sumOf(rounds: readonly Round[], window: Window): Sum {
  const newestMs = rounds.at(-1)?.endMs ?? 0;
  const chosen = rounds.filter(({ startMs, endMs }) =>
    "sinceMs" in window ? startMs >= window.sinceMs : endMs > newestMs - window.lastSeconds * 1_000,
  );
  const flows = new Map<Flow, Counts>();
  let ms = 0;
  for (const round of chosen) {
    ms += round.endMs - round.startMs;
    for (const [flow, counts] of round.flows) {
      const sum = flows.get(flow) ?? new Counts();
      flows.set(flow, sum);
      sum.add(counts);
    }
  }
  return { flows, seconds: ms / 1_000 };
}

function passes(flow: Flow, filter: FlowFilter): boolean {
  return (
    equal(filter.reporter, flow.reporter) &&
    equal(filter.service, flow.service) &&
    equal(filter.serviceName, flow.serviceName) &&
    equal(filter.serviceNamespace, flow.serviceNamespace) &&
    equal(filter.sourceWorkload, flow.source.workload) &&
    equal(filter.sourceNamespace, flow.source.namespace) &&
    (Array.isArray(filter.workload)
      ? filter.workload.includes(flow.destination.workload)
      : filter.workload === undefined || filter.workload === flow.destination.workload) &&
    equal(filter.workloadNamespace, flow.destination.namespace) &&
    equal(filter.version, flow.destination.version)
  );
}

function equal(wanted: string | undefined, is: string): boolean {
  return wanted === undefined || wanted === is;
}

function lineName({ source, destination, service }: Flow, by: SeriesQuery["by"]): string {
  switch (by) {
    case undefined:
      return "";
    case "source":
      return `${source.namespace}/${source.workload}`;
    case "workload":
      return `${destination.namespace}/${destination.workload}`;
    case "version":
      return destination.version;
    case "service":
      return service;
  }
}

/** What both sides have counted is taken from the caller's. */
function edgeFlows({ flows }: Sum): readonly Flow[] {
  const told = new Set<string>();
  for (const flow of flows.keys()) if (flow.reporter === "source") for (const key of meetings(flow)) told.add(key);
  return [...flows.keys()].filter((flow) => flow.reporter === "source" || !meetings(flow).some((key) => told.has(key)));
}

/** By what the two reports of one call know each other: the caller by name, or by the identity that it showed. */
function meetings({ source, destination, service }: Flow): readonly string[] {
  const where = `${service}>${destination.namespace}/${destination.workload}`;
  const names = source.workload === UNKNOWN ? [] : [`${source.namespace}/${source.workload}>${where}`];
  return source.principal === "" ? names : [...names, `${source.principal}>${where}`];
}

function edgesOf(sum: Sum, keyOf: (flow: Flow) => string = edgeKey): readonly Edge[] {
  const groups = Map.groupBy(edgeFlows(sum), keyOf);
  return [...groups.values()].flatMap((flows) => {
    const [first] = flows;
    if (first === undefined) return [];
    const counts = join(flows.flatMap((flow) => pair(flow, sum.flows.get(flow))));
    const { reporter, source, service, serviceName, serviceNamespace } = first;
    const destination = flows.find((flow) => flow.destination.principal !== "")?.destination ?? first.destination;
    return {
      ...{ source, destination, service, serviceName, serviceNamespace, reporter },
      protocols: [...new Set(flows.map(({ protocol }) => protocol))].sort(),
      security: securityOf(flows),
      ...numbersOf(counts, sum.seconds),
    };
  });
}

function pair(flow: Flow, counts: Counts | undefined): readonly (readonly [Flow, Counts])[] {
  return counts === undefined ? [] : [[flow, counts]];
}

function edgeKey({ reporter, source, destination, service }: Flow): string {
  // A caller without a name is told by its identity.
  const from = source.workload === UNKNOWN ? source.principal : `${source.namespace}/${source.workload}`;
  return `${reporter}>${from}>${service}>${destination.namespace}/${destination.workload}/${destination.version}`;
}

function callKey({ reporter, source, service, protocol }: Flow): string {
  const name = source.app === UNKNOWN ? source.workload : source.app;
  const from = name === UNKNOWN ? source.principal : `${source.namespace}/${name}`;
  return `${reporter}>${from}>${service}>${protocol}`;
}

function securityOf(flows: readonly Flow[]): Edge["security"] {
  // What reached nobody was neither encrypted nor not.
  const said = new Set(
    flows.filter(({ destination }) => destination.workload !== UNKNOWN).map(({ security }) => security),
  );
  const [only] = said;
  if (only === undefined) return "unknown";
  return said.size === 1 ? only : "mixed";
}

function serviceOf(
  { service, serviceName, serviceNamespace }: Pick<Edge, "service" | "serviceName" | "serviceNamespace">,
  edges: readonly Edge[],
  sum: Sum,
): ServiceTraffic {
  const isSame = (one: Pick<Edge, "serviceName" | "serviceNamespace">): boolean =>
    one.serviceName === serviceName && one.serviceNamespace === serviceNamespace;
  const callers = edges.filter(isSame);
  const flows = edgeFlows(sum)
    .filter(isSame)
    .flatMap((flow) => pair(flow, sum.flows.get(flow)));
  const own = new Set(callers.map(({ destination }) => `${destination.namespace}/${destination.workload}`));
  own.delete(`${UNKNOWN}/${UNKNOWN}`);
  const versions = Map.groupBy(flows, ([{ destination }]) =>
    [destination.namespace, destination.workload, destination.version].join("/"),
  );
  return {
    ...{ service, serviceName, serviceNamespace },
    ...numbersOf(join(flows), sum.seconds),
    versions: [...versions.values()].flatMap((group) => {
      const [first] = group;
      if (first === undefined) return [];
      const { workload, namespace, version } = first[0].destination;
      return { workload, namespace, version, ...numbersOf(join(group), sum.seconds) };
    }),
    callers,
    calls: edges.filter(({ source }) => own.has(`${source.namespace}/${source.workload}`)),
  };
}

function join(parts: readonly (readonly [Flow, Counts])[]): Counts {
  const sum = new Counts();
  for (const [, counts] of parts) sum.add(counts);
  return sum;
}

function numbersOf(counts: Counts, seconds: number): Numbers {
  const perSecond = (count: number): number => (seconds > 0 ? count / seconds : 0);
  return {
    requests: counts.requests,
    failures: counts.failures,
    requestsPerSecond: perSecond(counts.requests),
    failureShare: counts.requests > 0 ? counts.failures / counts.requests : 0,
    meanMs: counts.durations > 0 ? counts.durationSumMs / counts.durations : undefined,
    p50Ms: counts.quantileMs(0.5),
    p90Ms: counts.quantileMs(0.9),
    p99Ms: counts.quantileMs(0.99),
    codes: Array.from(counts.codes, ([code, count]) => ({ code, count })).sort((a, b) => b.count - a.count),
    connectionsOpened: counts.opened,
    connectionsClosed: counts.closed,
    sentBytesPerSecond: perSecond(counts.sentBytes),
    receivedBytesPerSecond: perSecond(counts.receivedBytes),
  };
}
