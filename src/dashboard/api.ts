// The page's data: one path, one answer. What they are made of is in files of their own.

import type { IncomingMessage } from "node:http";
import type { Clock } from "../base/clock.ts";
import type { MeshSnapshot } from "../model/snapshot.ts";
import type { Connection } from "../serve/server.ts";
import type { TrafficView } from "../traffic/query.ts";
import type { Asset } from "./assets.ts";
import { configurationDetail, configurationOf } from "./configuration.ts";
import { mtlsByService } from "./mtls.ts";
import type { ProxyAsk } from "./proxies.ts";
import { pulseOf, serviceListOf } from "./pulse.ts";
import type { Caller } from "./request.ts";
import { serviceDetail } from "./service.ts";
import type { MeshInfo, MeshPulse } from "./shapes.ts";
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
  readonly ask: ProxyAsk;
  readonly traffic: TrafficView;
}

export interface ApiRequest {
  readonly method: string;
  readonly url: URL;
  readonly caller: Caller;
  readonly message: IncomingMessage | undefined;
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
  if (view === "mesh") return json(meshInfo(options, request.caller));
  const snapshot = options.snapshot();
  if (snapshot === undefined) return problem(503, "the cluster has not been read yet");
  const analyzed = await options.world.read();
  if (!analyzed.ok) return problem(503, analyzed.error);
  switch (view) {
    case "services":
      if (rest.length === 0) return json(serviceListOf(snapshot, analyzed.value, mtlsByService(analyzed.value.world)));
      return found(await serviceDetail({ ...options, snapshot, analyzed: analyzed.value }, rest.join("/")));
    case "configuration": {
      if (rest.length === 0) return json(configurationOf(analyzed.value));
      const [kind = "", namespace = "", name = ""] = rest;
      return found(configurationDetail(analyzed.value, { kind, namespace, name }));
    }
    default:
      return problem(404, `there is no ${pathname}`);
  }
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
