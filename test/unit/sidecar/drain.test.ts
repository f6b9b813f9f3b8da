// How a process ends: what is under way is finished, what is idle is not waited for, a second signal ends at once.

import assert from "node:assert/strict";
import { Agent, get, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { seededRandom } from "../../../src/base/random.ts";
import { Drain } from "../../../src/proxy/stack/drain.ts";
import { serving } from "../../../src/proxy/stack/serving.ts";
import { Faults } from "../../../src/sidecar/faults.ts";
import { FAULT_WINDOW_MS, FAULTS_MAX } from "../../../src/sidecar/limits.ts";
import { httpOrigin } from "../proxy/harness.ts";
import { file, freePort, type ProxyProcess, ready, runProxy, staticBootstrap, until } from "./process.ts";

interface World {
  readonly proxy: ProxyProcess;
  readonly admin: number;
  readonly front: number;
  /** Ends the response of `/slow`, which has begun. */
  finish(): void;
}

async function world(...flags: string[]): Promise<World> {
  let finish: () => void = () => undefined;
  const origin = await httpOrigin((request, response) => {
    if (request.url !== "/slow") {
      response.end("quick");
      return;
    }
    response.write("begun ");
    finish = () => response.end("finished");
  });
  const [admin, front] = [await freePort(), await freePort()];
  const proxy = runProxy(["-c", file("b.json", staticBootstrap({ admin, front, origin })), ...flags]);
  await ready(admin, proxy);
  return { proxy, admin, front, finish: () => finish() };
}

function call(port: number, path: string, agent: Agent): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get({ port, path, agent, host: "127.0.0.1" }, resolve).on("error", reject);
  });
}

async function body(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of response) text += String(chunk);
  return text;
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

describe("SIGTERM", () => {
  test("a response under way is finished, an idle connection is not waited for, nobody new gets in", async () => {
    const { proxy, front, finish } = await world("--drain-time-s", "60", "--drain-strategy", "immediate");
    const agent = new Agent({ keepAlive: true });
    assert.equal(await body(await call(front, "/", agent)), "quick");
    const slow = await call(front, "/slow", new Agent());
    const begun = Date.now();
    proxy.child.kill("SIGTERM");
    await until(async () => !(await connects(front)), "the listener is closed");
    await sleep(300);
    assert.equal(proxy.child.exitCode, null);
    finish();
    assert.equal(await body(slow), "begun finished");
    assert.equal(await proxy.ended, 0);
    assert.ok(Date.now() - begun < 10_000, `${Date.now() - begun} ms`);
    agent.destroy();
  });

  test("the drain time ends what does not end by itself; a second signal does at once", async () => {
    const first = await world("--drain-time-s", "1");
    const held = await call(first.front, "/slow", new Agent());
    const cut = body(held).catch(() => "cut");
    first.proxy.child.kill("SIGTERM");
    assert.equal(await first.proxy.ended, 0);
    assert.equal(await cut, "cut");
    const second = await world();
    const slow = await call(second.front, "/slow", new Agent());
    slow.on("error", () => undefined);
    second.proxy.child.kill("SIGTERM");
    await until(() => second.proxy.output().includes("draining"), "the drain");
    second.proxy.child.kill("SIGTERM");
    assert.equal(await second.proxy.ended, 130);
  });
});

test("failing health checks and drained listeners: clients are asked to go, and what skip_exit and graceful leave open", async () => {
  const { admin, front } = await world("--drain-time-s", "2", "--drain-strategy", "immediate");
  const post = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${admin}${path}`, { method: "POST" });
    assert.equal(await answer.text(), "OK\n");
  };
  const status = async (path: string) => (await fetch(`http://127.0.0.1:${admin}${path}`)).status;
  const agent = new Agent({ keepAlive: true });
  const connection = async () => {
    const answer = await call(front, "/", agent);
    await body(answer);
    return answer.headers.connection;
  };
  assert.notEqual(await connection(), "close");
  await post("/healthcheck/fail");
  assert.equal(await connection(), "close");
  assert.equal(await status("/ready"), 503);
  await post("/healthcheck/ok");
  assert.notEqual(await connection(), "close");
  assert.equal(await status("/ready"), 200);
  await post("/drain_listeners?inboundonly&skip_exit");
  assert.equal(await connection(), "close");
  await sleep(2_200);
  assert.equal(await connects(front), true);
  await post("/drain_listeners?graceful");
  assert.equal(await connects(front), true);
  await until(async () => !(await connects(front)), "closed after the drain time");
  agent.destroy();
});

test("gradual: the share of answers that end their connection grows with the time", () => {
  let nowMs = 0;
  const clock = { monotonicMs: () => nowMs, wallMs: () => nowMs, after: () => ({ cancel: () => undefined }) };
  const around = { clock, random: seededRandom(3) };
  const gradual = new Drain({ ms: 1000, strategy: "gradual" }, around, { closesIdle: false });
  for (const [atMs, share] of [
    [0, 0],
    [250, 0.25],
    [500, 0.5],
    [1000, 1],
  ] as const) {
    nowMs = atMs;
    const closed = Array.from({ length: 2_000 }, () => gradual.closesNow()).filter(Boolean).length / 2_000;
    assert.ok(Math.abs(closed - share) < 0.05, `${atMs}: ${closed}`);
  }
  assert.equal(new Drain({ ms: 1000, strategy: "immediate" }, around, { closesIdle: false }).closesNow(), true);
});

test("a broken invariant costs its connection; so many within the window cost the process", () => {
  let nowMs = 0;
  const ends: number[] = [];
  const lines: string[] = [];
  const note = (text: string) => void lines.push(text);
  const log = { debug: note, info: note, warning: note, error: note };
  const faults = new Faults({ log, monotonicMs: () => nowMs, isServing: () => true, end: () => ends.push(1) });
  const aborts: number[] = [];
  serving.connection = { abort: () => aborts.push(1) };
  faults.onUncaught(new Error("first"));
  assert.deepEqual([aborts.length, serving.connection, ends.length], [1, undefined, 0]);
  assert.match(lines[0] ?? "", /broken invariant: Error: first\n {4}at /);
  for (let count = 2; count < FAULTS_MAX; count += 1) faults.onUncaught(new Error("next"));
  nowMs = FAULT_WINDOW_MS;
  faults.onUncaught(new Error("after the window"));
  assert.equal(ends.length, 0);
  for (let count = 1; count < FAULTS_MAX; count += 1) faults.onUncaught(new Error("again"));
  assert.equal(ends.length, 1);
  assert.equal(aborts.length, 1);
});
