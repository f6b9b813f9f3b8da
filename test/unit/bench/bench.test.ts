// The benchmark itself: what it computes, that its fixed rates leave no slow answer out, and that one case runs.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import net from "node:net";
import path from "node:path";
import { test } from "node:test";
import { BARS, type CaseRuns, judge } from "../../../bench/bars.ts";
import { benchCases } from "../../../bench/cases.ts";
import { medians, ratios } from "../../../bench/figures.ts";
import { ResponseReader, runRate } from "../../../bench/load/rate.ts";
import { hasWrk, parseWrk } from "../../../bench/load/wrk.ts";
import { parseJson } from "../../../src/base/json.ts";

test("a ratio is taken run by run, then the median of those", () => {
  const weft = [{ readyMs: 10 }, { readyMs: 20 }, { readyMs: 90 }];
  const envoy = [{ readyMs: 10 }, { readyMs: 40 }, { readyMs: 30 }];
  assert.deepEqual(ratios(weft, envoy), { readyMs: 1 });
  assert.deepEqual(medians([...weft, { readyMs: 30 }]), { readyMs: 25 });
});

test("a bar is met, not met, or not measured", () => {
  const run = (weft: number, envoy: number) =>
    new Map([
      ["weft", [{ cpuMicrosPerRequest: weft }]],
      ["envoy", [{ cpuMicrosPerRequest: envoy }]],
    ]);
  const runs: CaseRuns = new Map([
    ["plain", run(40, 100)],
    ["routes-10", run(10, 10)],
    ["routes-1000", run(12, 90)],
  ]);
  const against = (name: string) =>
    judge({ case: name, metric: "cpuMicrosPerRequest", against: "envoy", atMost: 0.45 }, runs);
  assert.deepEqual([against("plain").met, against("plain").value], [true, 0.4]);
  assert.deepEqual([against("pair").met, against("pair").value], [false, undefined]);
  const other = { case: "routes-1000", metric: "cpuMicrosPerRequest", against: { case: "routes-10" } } as const;
  assert.equal(judge({ ...other, atMost: 1.1 }, runs).met, false);
  assert.equal(judge({ ...other, atMost: 1.3 }, runs).met, true);
  assert.equal(judge({ case: "plain", metric: "cpuMicrosPerRequest", atLeast: 41 }, runs).met, false);
});

test("every bar is about a case that exists, and the quick form measures each of them", () => {
  const quick = new Set(benchCases().flatMap((entry) => (entry.quick ? entry.name : [])));
  for (const bar of BARS) {
    assert.ok(quick.has(bar.case), bar.case);
    if (typeof bar.against === "object") assert.ok(quick.has(bar.against.case), bar.against.case);
  }
});

test("wrk's report is read in its three units", () => {
  const text = `  Latency Distribution
     50%  650.00us
     99%    1.20s
  1000 requests in 2.00s, 1.25MB read
  Socket errors: connect 1, read 2, write 0, timeout 4
  Non-2xx or 3xx responses: 30
Requests/sec:    500.12`;
  assert.deepEqual(parseWrk(text), {
    requests: 1000,
    requestsPerSecond: 500.12,
    p50Ms: 0.65,
    p99Ms: 1200,
    refused: 30,
    socketErrors: 7,
  });
});

test("a response is complete when its last byte is there, however it is cut", () => {
  const bytes = Buffer.from("HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nhello");
  for (let cut = 1; cut < bytes.length; cut += 1) {
    const reader = new ResponseReader();
    assert.equal(reader.push(bytes.subarray(0, cut)), 0);
    assert.equal(reader.push(bytes.subarray(cut)), 503);
  }
});

test("an origin that stalls is charged for every request that was due meanwhile", async () => {
  const stallMs = 250;
  let stalled = false;
  const server = net.createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", () => {
      if (!stalled && performance.now() - startedMs > 900) {
        stalled = true;
        // The whole process stands still, as a proxy does that collects garbage.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, stallMs);
      }
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const startedMs = performance.now();
  const answer = await runRate({
    kind: "rate",
    port: address.port,
    path: "/",
    seconds: 1,
    connections: 1,
    requestsPerSecond: 200,
  });
  server.close();
  assert.equal(answer.done, 200);
  assert.equal(answer.failures, 0);
  // A closed loop would have seen one slow answer among 200, and p99 would not show it.
  assert.ok(answer.p99Ms > stallMs / 2, `p99 is ${answer.p99Ms} ms`);
});

test("one case runs and gives figures", { skip: hasWrk() ? false : "wrk is not installed" }, () => {
  const script = path.join(import.meta.dirname, "../../../bench/run.ts");
  const args = ["--case", "plain", "--contender", "weft", "--rounds", "1", "--seconds", "1", "-o", "json"];
  const run = spawnSync(process.execPath, [script, ...args], { encoding: "utf8", timeout: 60_000 });
  assert.equal(run.status, 0, run.stderr);
  const report = parseJson(run.stdout);
  assert.ok(report.ok);
  const requests = /"requestsPerSecond": ([\d.]+)/.exec(run.stdout)?.[1];
  assert.ok(Number(requests) > 10, run.stdout);
  assert.match(run.stdout, /"failures": 0\b/);
});
