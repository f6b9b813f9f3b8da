// The page's data: one path, one answer. What they are made of is in files of their own.

import type { Clock } from "../base/clock.ts";
import type { MeshSnapshot } from "../model/snapshot.ts";
import type { Connection } from "../serve/server.ts";
import type { TraceReader } from "../traces/trace.ts";
import type { TrafficView } from "../traffic/query.ts";
import type { Asset } from "./assets.ts";
import { chartsOf } from "./charts.ts";
import { configurationDetail, configurationOf } from "./configuration.ts";
import { mtlsByService } from "./mtls.ts";
import type { ProxyAsk } from "./proxies.ts";
import { pulseOf, serviceListOf } from "./pulse.ts";
import type { Caller } from "./request.ts";
import { isRolloutAction, listRollouts, type RolloutClient, steerRollout } from "./rollouts.ts";
import { serviceDetail } from "./service.ts";
import type { MeshInfo, MeshPulse } from "./shapes.ts";
import { findTraces, readTrace } from "./traces.ts";
import type { WorldReader } from "./world.ts";

export type Answer =
  | {
      readonly status: number;
      readonly type: string;
      readonly body: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | { readonly status: 200; readonly asset: Asset };

export interface ApiOptions {
  readonly version: string;
  readonly place: string;
  readonly clock: Clock;
  readonly snapshot: () => MeshSnapshot | undefined;
  readonly sequence: () => number;
  readonly connections: () => readonly Connection[];
  readonly world: WorldReader;
  readonly client: RolloutClient;
  readonly ask: ProxyAsk;
  readonly traffic: TrafficView;
  /** Undefined where none are kept. */
  readonly traces: TraceReader | undefined;
}

export interface ApiRequest {
  readonly method: string;
  readonly url: URL;
  readonly caller: Caller;
}

const WINDOW_SECONDS = 30;

export class Api {
  readonly options: ApiOptions;

  constructor(options: ApiOptions) {
    this.options = options;
  }

  async pulse(): Promise<MeshPulse | undefined> {
    const { snapshot, sequence, connections, traffic, clock, world } = this.options;
    const now = snapshot();
    if (now === undefined) return undefined;
    const analyzed = await world.read();
    return pulseOf({
      atMs: clock.wallMs(),
      sequence: sequence(),
      windowSeconds: WINDOW_SECONDS,
      snapshot: now,
      connections: connections(),
      calls: traffic.calls(WINDOW_SECONDS),
      analyzed: analyzed.ok ? analyzed.value : undefined,
    });
  }
}

export async function answerApi({ options }: Api, request: ApiRequest): Promise<Answer> {
  const { pathname } = request.url;
  const parts = pathname.split("/").slice(2).map(decodeURIComponent);
  const [view = "", ...rest] = parts;
  if (request.method !== "GET") return change(options, view, rest);
  if (view === "mesh") return json(meshInfo(options, request.caller));
  const snapshot = options.snapshot();
  if (snapshot === undefined) return problem(503, "the cluster has not been read yet");
  const analyzed = await options.world.read();
  if (!analyzed.ok) return problem(503, analyzed.error);
  const query = request.url.searchParams;
  switch (view) {
    case "services":
      if (rest.length === 0) return json(serviceListOf(snapshot, analyzed.value, mtlsByService(analyzed.value.world)));
      return found(await serviceDetail({ ...options, snapshot, analyzed: analyzed.value }, rest.join("/")));
    case "configuration": {
      if (rest.length === 0) return json(configurationOf(analyzed.value));
      const [kind = "", namespace = "", name = ""] = rest;
      return found(configurationDetail(analyzed.value, { kind, namespace, name }));
    }
    case "metrics": {
      const charts = chartsOf(options.traffic, snapshot, { id: rest.join("/"), nowMs: options.clock.wallMs(), query });
      return found(charts);
    }
    case "traces": {
      if (options.traces === undefined) return problem(404, "this cluster keeps no traces: its log says why");
      const [traceId] = rest;
      return traceId === undefined
        ? json(await findTraces(options.traces, query, options.clock.wallMs()))
        : found(await readTrace(options.traces, traceId));
    }
    case "rollouts": {
      const listed = await listRollouts(options.client);
      return listed.ok ? json(listed.value) : problem(503, listed.error);
    }
    default:
      return problem(404, `there is no ${pathname}`);
  }
}

/** Who asks may change things: that was looked at before. */
async function change(options: ApiOptions, view: string, rest: readonly string[]): Promise<Answer> {
  const [namespace = "", name = "", action = ""] = rest;
  if (view !== "rollouts" || !isRolloutAction(action)) return problem(404, "there is nothing to change there");
  const id = new Date(options.clock.wallMs()).toISOString();
  const done = await steerRollout(options.client, { namespace, name }, { action, id });
  return done.ok ? json({}) : problem(409, done.error);
}

function meshInfo({ version, place, snapshot }: ApiOptions, { session }: Caller): MeshInfo {
  const { mayChange, csrf } = session;
  return { version, place, mayChange, csrf, clusterDomain: snapshot()?.mesh.clusterDomain ?? "" };
}

function found(value: object | undefined): Answer {
  return value === undefined ? problem(404, "there is none of that name (any more)") : json(value);
}

function json(value: object): Answer {
  return { status: 200, type: "application/json", body: JSON.stringify(value) };
}

function problem(status: number, message: string): Answer {
  return { status, type: "application/json", body: JSON.stringify({ error: message }) };
}
