// Mixed traffic through a pair of proxies with mTLS for five minutes (an hour with --long; WEFT_SOAK_S sets it), with
// certificates that change all the while: no unexpected failure, memory and files flat once warm, gauges back to nothing.

import assert from "node:assert/strict";
import http from "node:http";
import { connect } from "node:net";
import { after, it } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { once } from "../../faults/load.ts";
import { type Pair, startPair } from "../../faults/pair.ts";
import { nothingLeft, openFiles } from "../../faults/world.ts";
import { httpOrigin, stat } from "../../unit/proxy/harness.ts";

const DURATION_S = Number(process.env["WEFT_SOAK_S"] ?? (process.env["WEFT_LONG"] === undefined ? 300 : 3600));
/** Caches fill, code is compiled, the heap finds its size. */
const WARM_SHARE = 0.4;
const SAMPLES = 40;
const SETTLE_MS = 100;
const MB = 1024 * 1024;
const LARGE = Buffer.alloc(MB, "x");
/** What memory may grow by, from the end of the warm-up on, however long it lasts. */
const GROWTH_BYTES_MAX = 16 * MB;

it(`mixed traffic for ${DURATION_S} s: nothing fails, grows or stays behind`, {
  timeout: (DURATION_S + 120) * 1000,
}, async (context) => {
  const pair = await startPair(await origin());
  after(() => pair.close());
  const files = openFiles();
  const traffic = startTraffic(pair);
  const samples: Sample[] = [];
  for (let taken = 0; taken < SAMPLES; taken += 1) {
    await new Promise((resolve) => setTimeout(resolve, (DURATION_S * 1000) / SAMPLES));
    if (taken % 4 === 0) await pair.rotate();
    samples.push(await traffic.between(measured));
  }
  await traffic.stop();
  const warm = samples.slice(Math.floor(SAMPLES * WARM_SHARE));
  const growth = { heap: growthOf(warm.map(({ heap }) => heap)), rss: growthOf(warm.map(({ rss }) => rss)) };
  context.diagnostic(`${traffic.served()} served; heap grew by ${inMb(growth.heap)} MB, RSS by ${inMb(growth.rss)} MB`);
  assert.deepEqual(traffic.failures.slice(0, 10), [], `${traffic.failures.length} failures`);
  assert.ok(traffic.served() > DURATION_S * 10);
  assert.ok(growth.heap < GROWTH_BYTES_MAX, `the heap grew by ${inMb(growth.heap)} MB`);
  assert.ok(growth.rss < 2 * GROWTH_BYTES_MAX, `RSS grew by ${inMb(growth.rss)} MB`);
  await nothingLeft(pair.outbound.registry);
  const ended = [
    "http.test.downstream_rq_active",
    "cluster.a.upstream_rq_active",
    "cluster.a.upstream_rq_pending_active",
  ];
  assert.deepEqual(
    ended.map((name) => stat(pair.inbound.registry, name)),
    [0, 0, 0],
  );
  const between = stat(pair.outbound.registry, "cluster.a.upstream_cx_active");
  assert.equal(
    stat(pair.inbound.registry, "http.test.downstream_cx_active"),
    between,
    "what one side keeps, the other has",
  );
  const idle = [pair.outbound, pair.inbound].map(({ registry }) => stat(registry, "cluster.a.upstream_cx_active"));
  // Each kept connection has two ends in this process.
  const kept = 2 * idle.reduce((sum, one) => sum + one, 0);
  assert.ok(openFiles() <= files + kept + 10, `${openFiles()} files, ${files} at first, ${kept} kept connections`);
});

/** What is garbage is not to be taken for a leak. */
function collect(): void {
  setFlagsFromString("--expose-gc");
  const gc: unknown = runInNewContext("gc");
  if (typeof gc === "function") gc();
}

interface Sample {
  readonly heap: number;
  readonly rss: number;
}

/** Twice: what buffers held is given back a moment after they were collected. */
async function measured(): Promise<Sample> {
  collect();
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  collect();
  const { heapUsed, rss, external } = process.memoryUsage();
  return { heap: heapUsed + external, rss };
}

function origin(): Promise<number> {
  return httpOrigin((request, response) => {
    request.resume().on("end", () => {
      if (request.url === "/large") response.end(LARGE);
      else if (request.url === "/chunked") {
        response.write("fi");
        setTimeout(() => response.end("ne"), 1);
      } else if (request.url === "/reset") request.socket.destroy();
      else response.end("fine");
    });
  });
}

interface Traffic {
  readonly failures: readonly string[];
  served(): number;
  /** While no request is under way: bodies in flight are tens of megabytes, now more of them and now fewer. */
  between<T>(run: () => Promise<T>): Promise<T>;
  stop(): Promise<void>;
}

function startTraffic(pair: Pair): Traffic {
  const failures: string[] = [];
  let served = 0;
  let stopped = false;
  let underWay = 0;
  let paused: Promise<void> | undefined;
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  const large = LARGE.toString("latin1");
  const ask = (path: string, body: string | Buffer, how: http.Agent | false = agent) =>
    once(pair.port, { agent: how, body, path, expected: path === "/large" ? large : "fine" });
  const kinds: readonly (() => Promise<string | undefined>)[] = [
    () => ask("/", ""),
    () => ask("/", "abc"),
    () => ask("/chunked", ""),
    () => ask("/", "", false),
    () => ask("/", LARGE),
    () => ask("/large", ""),
    async () => {
      const problem = await ask("/reset", "abc");
      return problem === undefined || problem.startsWith("503 upstream connect error") ? undefined : problem;
    },
    () => dropped(pair.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    () => dropped(pair.port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"),
    () => dropped(pair.port, "GET / HTTP/1.1\nbad\n\n"),
  ];
  const worker = async (offset: number) => {
    for (let turn = offset; !stopped; turn += 1) {
      await paused;
      underWay += 1;
      const problem = await kinds[turn % kinds.length]?.();
      underWay -= 1;
      if (problem === undefined) served += 1;
      else failures.push(problem);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const workers = [0, 3, 5, 8].map(worker);
  return {
    failures,
    served: () => served,
    async between(run) {
      const { promise, resolve } = Promise.withResolvers<void>();
      paused = promise;
      while (underWay > 0) await new Promise((again) => setTimeout(again, 5));
      const result = await run();
      paused = undefined;
      resolve();
      return result;
    },
    async stop() {
      stopped = true;
      await Promise.all(workers);
      agent.destroy();
    },
  };
}

/** Sends and leaves at once. */
function dropped(port: number, text: string): Promise<undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve(undefined));
    socket.on("connect", () => {
      socket.write(text);
      setTimeout(() => socket.resetAndDestroy(), 2);
    });
  });
}

/** By a straight line of least squares through the samples: its rise from the first to the last. */
function growthOf(values: readonly number[]): number {
  const count = values.length;
  const meanX = (count - 1) / 2;
  const meanY = values.reduce((sum, one) => sum + one, 0) / count;
  let above = 0;
  let below = 0;
  for (const [x, y] of values.entries()) {
    above += (x - meanX) * (y - meanY);
    below += (x - meanX) ** 2;
  }
  return (above / below) * (count - 1);
}

function inMb(bytes: number): string {
  return (bytes / MB).toFixed(1);
}
