// The control plane under faults, with 500 clients of discovery in another process, and proxies that are called all the
// while: two of weft's own, and Envoy where there is one.

import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { clusterName } from "../../../bench/control/mesh.ts";
import { isRecord } from "../../../src/base/json.ts";
import { STATUS_QUIET_MS } from "../../../src/control/limits.ts";
import type { RunningProxy } from "../../../src/proxy/run/proxy.ts";
import { until } from "../../unit/control/mesh.ts";
import { startAdsProxy } from "../../unit/control/proxy.ts";
import { freePorts } from "../../walk/origin.ts";
import { adsBootstrap } from "../envoy/bootstrap.ts";
import { type RunningEnvoy, skipWithoutEnvoy, startEnvoy } from "../envoy/envoy.ts";

const LONG = process.env["WEFT_LONG"] === "1";
const CLIENTS = 500;
const SERVICES = 150;
const STUCK = 3;
const CHANGES = 30;
const OUTAGE_MS = LONG ? 30_000 : 8_000;
const PATIENCE_MS = 60_000;
const WATCHED = clusterName(0);
const ADDRESSES = { first: "127.84.0.2", second: "127.84.0.3", envoy: "127.84.0.4" } as const;
const metadata = { NAMESPACE: "shop", INTERCEPTION_MODE: "NONE" };

/** A child that is told and tells in messages. */
class Child {
  readonly #process: ChildProcess;
  readonly #ended = new AbortController();

  constructor(file: string, args: readonly (string | number)[]) {
    this.#process = fork(path.join(import.meta.dirname, file), args.map(String));
    this.#process.once("exit", () => this.#ended.abort(new Error(`${file} has ended`)));
  }

  send(message: Readonly<Record<string, unknown>>): void {
    this.#process.send(message);
  }

  async told(what: string): Promise<Readonly<Record<string, unknown>>> {
    const signal = AbortSignal.any([AbortSignal.timeout(PATIENCE_MS), this.#ended.signal]);
    for (;;) {
      const [message]: unknown[] = await once(this.#process, "message", { signal });
      if (isRecord(message) && message["report"] === what) return message;
    }
  }

  ask(question: string, answer: string): Promise<Readonly<Record<string, unknown>>> {
    const told = this.told(answer);
    this.send({ [question]: true });
    return told;
  }

  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await exited;
  }
}

/** Calls through a proxy, one after the other, until told to stop. */
class Caller {
  count = 0;
  readonly failures: string[] = [];
  readonly #address: string;
  readonly #agent = new http.Agent({ keepAlive: true });
  #stopped = false;

  constructor(address: string) {
    this.#address = address;
    void this.#run();
  }

  stop(): void {
    this.#stopped = true;
    this.#agent.destroy();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const answer = await this.call();
      if (this.#stopped) return;
      this.count += 1;
      if (answer !== "200 served") this.failures.push(answer);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  call(): Promise<string> {
    const host = "api.shop:8080";
    const { promise, resolve } = Promise.withResolvers<string>();
    const options = {
      agent: this.#agent,
      host: this.#address,
      port: 15_001,
      path: `http://${host}/`,
      headers: { host },
    };
    const request = http.get(options, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => {
        body += text;
      });
      response.on("end", () => resolve(`${response.statusCode} ${body}`));
    });
    request.on("error", (error) => resolve(error.message));
    return promise;
  }
}

describe("the control plane with 500 clients", () => {
  const directory = mkdtempSync(path.join(tmpdir(), "weft-faults-"));
  const origin = http.createServer((_request, response) => response.end("served"));
  const proxies: RunningProxy[] = [];
  const callers: Caller[] = [];
  let ports: readonly number[] = [];
  let control: Child | undefined;
  let clients: Child | undefined;
  let envoy: RunningEnvoy | undefined;
  let wholeBytes = 0;

  const startControl = async (generation: number): Promise<Child> => {
    const [port = 0, debugPort = 0] = ports;
    const bound: string | AddressInfo | null = origin.address();
    const originPort = typeof bound === "object" && bound !== null ? bound.port : 0;
    const child = new Child("control-process.ts", [SERVICES, port, debugPort, originPort, generation]);
    await child.told("ready");
    return child;
  };
  const state = async () => (await control?.ask("ask", "state")) ?? {};
  const count = async () => (await clients?.ask("count", "counted")) ?? {};
  const expected = (): number => CLIENTS + callers.length;
  const allSettled = (): Promise<void> =>
    until(
      "everybody is connected and has everything",
      async () => {
        const { connections, settled } = await state();
        return connections === expected() && settled === expected();
      },
      PATIENCE_MS,
    );
  /** How long a change of one endpoint takes to the last of those who read and don't refuse, in milliseconds. */
  const changeMs = async (generation: number): Promise<number> => {
    clients?.send({ watch: WATCHED });
    await clients?.told("watching");
    const all = clients?.told("all");
    const startedMs = performance.now();
    control?.send({ change: generation });
    await all;
    return performance.now() - startedMs;
  };

  before(async () => {
    ports = await freePorts(3);
    const [port = 0, , adminPort = 0] = ports;
    await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
    control = await startControl(0);
    clients = new Child("clients.ts", [port]);
    await clients.told("ready");
    for (const address of [ADDRESSES.first, ADDRESSES.second]) {
      const id = `sidecar~${address}~caller-${proxies.length}.shop~shop.svc.cluster.local`;
      proxies.push(await startAdsProxy({ discoveryPort: port, id, metadata }));
      callers.push(new Caller(address));
    }
    if (skipWithoutEnvoy() === false) {
      const node = { id: `sidecar~${ADDRESSES.envoy}~envoy-0.shop~shop.svc.cluster.local`, cluster: "test", metadata };
      envoy = await startEnvoy(directory, adsBootstrap(node, port, adminPort), adminPort);
      callers.push(new Caller(ADDRESSES.envoy));
    }
    clients.send({ connect: CLIENTS });
    await until("each client has everything", async () => (await count())["complete"] === CLIENTS, PATIENCE_MS);
    await allSettled();
    wholeBytes = Number((await count())["bytes"]);
    for (const caller of callers) caller.failures.length = 0;
  });

  after(async () => {
    for (const caller of callers) caller.stop();
    for (const proxy of proxies) await proxy.close();
    envoy?.kill();
    await clients?.kill();
    await control?.kill();
    origin.closeAllConnections();
    origin.close();
    rmSync(directory, { recursive: true });
  });

  it("is killed and comes back: nobody is sent what he has, nothing flaps, no request fails", async (context) => {
    const served = callers.map((caller) => caller.count);
    clients?.send({ mark: true });
    await control?.kill();
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    control = await startControl(1);
    const all = async (): Promise<boolean> => Number((await count())["resources"]) >= CLIENTS;
    await until("each client has what changed", all, PATIENCE_MS);
    await allSettled();
    const { bytes, resources, removed, again } = await count();
    context.diagnostic(`first ${wholeBytes} bytes; after the restart ${bytes}, ${resources} resources`);
    assert.ok(Number(bytes) < wholeBytes / 50, `${bytes} bytes after ${wholeBytes}`);
    assert.equal(resources, CLIENTS, "the one that changed, to each");
    assert.deepEqual({ removed, again }, { removed: 0, again: 0 });
    for (const [i, caller] of callers.entries()) {
      assert.deepEqual(caller.failures, []);
      assert.ok(caller.count > (served[i] ?? 0) + 20, `caller ${i}: ${caller.count} calls`);
    }
  });

  it("goes on for the others while one refuses everything, and knows of him", async () => {
    clients?.send({ refuse: 1 });
    for (let i = 2; i < 5; i++) await changeMs(i);
    await until("the refusal is known", async () => (await state())["refusing"] === 1, PATIENCE_MS);
    const status = await fetch(`http://127.0.0.1:${ports[1]}/debug/syncz`);
    const page: unknown = await status.json();
    const rows = Array.isArray(page) ? page.filter(isRecord) : [];
    const errors = rows.filter(({ eds }) => isRecord(eds) && eds["state"] === "ERROR");
    assert.deepEqual(
      errors.map(({ proxy }) => proxy),
      ["client-0.shop"],
    );
    clients?.send({ refuse: 0 });
    await changeMs(5);
    await allSettled();
  });

  it("is not held up by clients that stop reading, and holds little for them", async (context) => {
    const usual = await Promise.all([changeMs(6)]);
    const { rssMb: before } = await state();
    clients?.send({ stick: STUCK });
    const times: number[] = [...usual];
    for (let i = 0; i < CHANGES; i++) {
      times.push(await changeMs(7 + i));
      if (i % 5 === 0) control?.send({ route: 2 + i });
    }
    const { rssMb } = await state();
    const sorted = times.toSorted((a, b) => a - b);
    context.diagnostic(`to the last of the others: ${sorted.map(Math.round).join(" ")} ms; ${before} then ${rssMb} MB`);
    assert.ok((sorted.at(-1) ?? 0) < 5_000, "the longest");
    assert.ok(Number(rssMb) - Number(before) < 60, `${before} MB became ${rssMb}`);
    clients?.send({ stick: 0 });
    await allSettled();
  });

  it("writes the statuses that it could not while the API server was away", async () => {
    const { written: before, refused } = await state();
    control?.send({ route: 99, away: true });
    await until(
      "the API server is asked",
      async () => Number((await state())["refused"]) > Number(refused),
      PATIENCE_MS,
    );
    await allSettled();
    await new Promise((resolve) => setTimeout(resolve, STATUS_QUIET_MS * 4));
    control?.send({ away: false });
    await until("they are written", async () => Number((await state())["written"]) > Number(before), PATIENCE_MS);
  });

  it("goes on serving while the API server is away, and takes nothing for deleted", async () => {
    control?.send({ away: true });
    control?.send({ route: 100 });
    const awayMs = performance.now();
    clients?.send({ mark: true });
    await new Promise((resolve) => setTimeout(resolve, OUTAGE_MS / 2));
    const [, debugPort = 0] = ports;
    assert.equal((await fetch(`http://127.0.0.1:${debugPort}/ready`)).status, 200);
    await new Promise((resolve) => setTimeout(resolve, OUTAGE_MS - (performance.now() - awayMs)));
    const nothing = { report: "counted", complete: CLIENTS, bytes: 0, resources: 0, removed: 0, again: 0 };
    assert.deepEqual(await count(), nothing);
    control?.send({ away: false });
    const arrived = async (): Promise<boolean> => Number((await count())["resources"]) > 0;
    await until("the change that was made meanwhile arrives", arrived, PATIENCE_MS);
    assert.equal((await count())["removed"], 0);
    for (const caller of callers) assert.deepEqual(caller.failures, []);
  });

  it("pushes as fast while the API server is slow", async () => {
    control?.send({ slow: true });
    control?.send({ route: 200 });
    const times = [await changeMs(61), await changeMs(62), await changeMs(63)];
    assert.ok(Math.min(...times) < 2_000, `${times.map(Math.round).join(" ")} ms`);
    for (const caller of callers) assert.deepEqual(caller.failures, []);
  });
});
