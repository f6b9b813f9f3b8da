// The control plane under many services and many connected proxies: how long a change takes to the last of them.
//
//   npm run bench:control -- [--services 1000] [--endpoints 10] [--clients 500] [--changes 20] [--variant delta|sotw]
//                            [--growth] [--save FILE]
//
// Prints JSON. The clients are in a process of their own and speak ADS without TLS; the control plane is all of it but the
// API server: from the watch events, its waiting for more of them included, to the last byte in the last client. With
// --growth the same is measured with 100, 1,000 and 2,000 services.

import { type ChildProcess, fork, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import * as grpc from "@grpc/grpc-js";
import { systemClock } from "../src/base/clock.ts";
import { isRecord, parseJson } from "../src/base/json.ts";
import { ALLOCATOR } from "../src/cluster/launch/launch.ts";
import { type ControlPlane, startControlPlane } from "../src/control/control.ts";
import { makeAuthority } from "./control/authority.ts";
import { Feed } from "./control/feed.ts";
import { clusterName, hostName, PORT, podOf, routeOf, serviceOf, sliceOf } from "./control/mesh.ts";

interface Size {
  readonly services: number;
  readonly endpoints: number;
  readonly clients: number;
  readonly changes: number;
  readonly variant: "delta" | "sotw";
}

/** Pods that a rolling restart replaces, and how many at a time. */
const RESTARTED = { services: 10, pods: 100, atATime: 10, everyMs: 100 };
const SETTLE_POLL_MS = 10;

class Bench {
  readonly #size: Size;
  readonly #feed = new Feed();
  readonly #places: number[][];
  #control: ControlPlane | undefined;
  #clients: ChildProcess | undefined;
  readonly #refusals: string[] = [];

  constructor(size: Size) {
    this.#size = size;
    this.#places = Array.from({ length: size.services }, () => Array.from({ length: size.endpoints }, (_, i) => i));
  }

  async run(): Promise<Record<string, unknown>> {
    const { clients, variant } = this.#size;
    for (const [service, places] of this.#places.entries()) {
      this.#feed.put(serviceOf(service));
      for (const place of places) this.#feed.put(podOf(service, place));
      this.#feed.put(sliceOf(service, places));
    }
    this.#feed.put(routeOf(0, 1));
    const startedMs = performance.now();
    const control = await startControlPlane({
      client: this.#feed,
      clock: systemClock,
      log: () => undefined,
      ca: {
        register: () => undefined,
        credentials: grpc.ServerCredentials.createInsecure(),
        authority: await makeAuthority(),
      },
      listen: { secure: LOOPBACK, plain: LOOPBACK },
    });
    this.#control = control;
    await control.whenReady;
    const readyMs = performance.now() - startedMs;
    const residentBeforeMb = residentMb();
    const file = path.join(import.meta.dirname, "control/clients.ts");
    this.#clients = fork(file, ["--port", String(control.plain?.port), "--variant", variant]);
    this.#clients.on("message", (message) => {
      if (isRecord(message) && message["report"] === "refused") this.#refusals.push(String(message["cause"]));
    });
    await this.#told("ready");
    const cpu = process.cpuUsage();
    const first = await this.#connect(1);
    const storm = await this.#connect(clients - 1);
    const residentAfterStormMb = residentMb();
    const endpointChange = await this.#repeat("endpoint", (i) => this.#changeEndpoint(i));
    const routeChange = await this.#repeat("route", (i) => this.#changeRoute(i));
    const rollingRestart = await this.#restart();
    const used = process.cpuUsage(cpu);
    const { cpuSeconds } = await this.#count();
    this.#clients.kill();
    await control.close();
    return {
      ...this.#size,
      readyMs: round(readyMs),
      firstClient: first,
      connectStorm: { ...storm, refused: this.#refusals.length, causes: [...new Set(this.#refusals)].slice(0, 3) },
      endpointChange,
      routeChange,
      rollingRestart,
      cpuSeconds: round((used.user + used.system) / 1e6),
      clientsCpuSeconds: round(cpuSeconds),
      residentMb: {
        withoutClients: residentBeforeMb,
        afterStorm: residentAfterStormMb,
        atEnd: residentMb(),
        peak: Math.round(process.resourceUsage().maxRSS / 1_000),
      },
    };
  }

  async #connect(count: number): Promise<Record<string, unknown>> {
    if (count <= 0) return {};
    const startedMs = performance.now();
    this.#send({ connect: count });
    const { bytesPerClient } = await this.#told("connected");
    const allMs = performance.now() - startedMs;
    await this.#settled();
    return { allMs: round(allMs), bytesPerClient };
  }

  /** One change after the other, each watched for until the last client has it. */
  async #repeat(what: "endpoint" | "route", change: (i: number) => void): Promise<Record<string, unknown>> {
    const names = what === "endpoint" ? [clusterName(0)] : [String(PORT), `${PORT}/${hostName(0)}:${PORT}`];
    const totals: number[] = [];
    const bytesBefore = (await this.#count()).bytes;
    const cpu = process.cpuUsage();
    for (let i = 0; i < this.#size.changes; i++) {
      this.#send({ watch: names });
      await this.#told("armed");
      const done = this.#told("all");
      const startedMs = performance.now();
      change(i);
      await done;
      totals.push(performance.now() - startedMs);
      await this.#settled();
    }
    const used = process.cpuUsage(cpu);
    const bytes = (await this.#count()).bytes - bytesBefore;
    const { changes, clients } = this.#size;
    return {
      lastClientMs: quantiles(totals),
      bytesPerClient: Math.round(bytes / changes / clients),
      cpuMsPerChange: round((used.user + used.system) / 1e3 / changes),
    };
  }

  #changeEndpoint(i: number): void {
    const all = this.#places[0] ?? [];
    this.#feed.put(sliceOf(0, i % 2 === 0 ? all.slice(1) : all));
  }

  #changeRoute(i: number): void {
    this.#feed.put(routeOf(0, i + 2));
  }

  /** New pods come, become ready and replace the old ones, some at a time. */
  async #restart(): Promise<Record<string, unknown>> {
    const { services, pods, atATime, everyMs } = RESTARTED;
    const bytesBefore = (await this.#count()).bytes;
    const cpu = process.cpuUsage();
    const startedMs = performance.now();
    const targets = Math.min(services, this.#size.services - 1);
    for (let i = 0; i < pods; i++) {
      const service = 1 + (i % targets);
      this.#replaceOne(service);
      if (i % atATime === atATime - 1) await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
    const lastEventMs = performance.now() - startedMs;
    await this.#settled();
    const used = process.cpuUsage(cpu);
    const bytes = (await this.#count()).bytes - bytesBefore;
    return {
      pods,
      lastEventMs: round(lastEventMs),
      settledMs: round(performance.now() - startedMs),
      cpuSeconds: round((used.user + used.system) / 1e6),
      bytesPerClient: Math.round(bytes / this.#size.clients),
    };
  }

  #replaceOne(service: number): void {
    const places = this.#places[service] ?? [];
    const old = places.shift();
    if (old === undefined) return;
    const next = old + this.#size.endpoints;
    this.#feed.put(podOf(service, next));
    this.#feed.put(sliceOf(service, [...places, next]));
    places.push(next);
    this.#feed.drop(podOf(service, old));
  }

  #send(message: Readonly<Record<string, unknown>>): void {
    this.#clients?.send(message);
  }

  async #count(): Promise<{ readonly bytes: number; readonly cpuSeconds: number }> {
    const told = this.#told("counted");
    this.#send({ count: true });
    const { bytes, cpuSeconds } = await told;
    return { bytes: Number(bytes), cpuSeconds: Number(cpuSeconds) };
  }

  async #told(what: string): Promise<Record<string, unknown>> {
    for (;;) {
      const [message]: unknown[] = await once(this.#clients ?? process, "message");
      if (isRecord(message) && message["report"] === what) return message;
    }
  }

  /** Until every proxy runs the newest that there is for it. */
  async #settled(): Promise<void> {
    const open = (): boolean =>
      this.#control
        ?.connections()
        .some(({ session }) => session.settledSequence !== session.configuration?.sequence) === true;
    do await new Promise((resolve) => setTimeout(resolve, SETTLE_POLL_MS));
    while (open());
  }
}

const LOOPBACK = { address: "127.0.0.1", port: 0 };

function residentMb(): number {
  return Math.round(process.memoryUsage().rss / 1e6);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function quantiles(values: readonly number[]): Record<string, number> {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number =>
    round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  return { p50: at(0.5), p99: at(0.99) };
}

const text = { type: "string" } as const;
const { values } = parseArgs({
  options: {
    services: text,
    endpoints: text,
    clients: text,
    changes: text,
    variant: text,
    growth: { type: "boolean" },
    inside: { type: "boolean" },
    save: text,
  },
});

/** Each size in a process of its own, so that its memory is its own, and as the local cluster starts its control plane. */
function inProcess(size: Size): unknown {
  const options = Object.entries(size).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawnSync(process.execPath, [import.meta.filename, "--inside", ...options], {
    encoding: "utf8",
    env: { ...process.env, ...ALLOCATOR },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const parsed = parseJson(child.stdout);
  return parsed.ok ? parsed.value : { ...size, failed: child.status };
}

const size: Size = {
  services: Number(values.services ?? 1_000),
  endpoints: Number(values.endpoints ?? 10),
  clients: Number(values.clients ?? 500),
  changes: Number(values.changes ?? 20),
  variant: values.variant === "sotw" ? "sotw" : "delta",
};
const services = values.growth === true ? [100, 1_000, 2_000] : [size.services];
const results =
  values.inside === true
    ? [await new Bench(size).run()]
    : services.map((each) => inProcess({ ...size, services: each }));
const result = values.growth === true ? results : results[0];
const printed = `${JSON.stringify(result, null, 2)}\n`;
process.stdout.write(printed);
if (values.save !== undefined) fs.writeFileSync(values.save, printed);
