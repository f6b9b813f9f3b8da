// A proxy is replaced in flight: no connection is refused, no request cut, and a new one that can't start changes nothing.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { Agent, get, type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { httpOrigin, raw } from "../proxy/harness.ts";
import { file, folder, freePort, launchProxy, type ProxyProcess, ready, staticBootstrap, until } from "./process.ts";

const REQUEST = "GET / HTTP/1.1\r\nhost: any\r\nconnection: close\r\n\r\n";
const RESTARTS = 3;

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

async function epoch(admin: number): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${admin}/server_info`).catch(() => undefined);
  const info: unknown = await answer?.json().catch(() => undefined);
  const options: unknown = Reflect.get(Object(info), "command_line_options");
  return Number(Reflect.get(Object(options), "restart_epoch"));
}

/** Answers of one admin process after the other: the last one stays. */
async function replaced(proxy: ProxyProcess, admin: number, to: number): Promise<void> {
  await until(async () => (await epoch(admin)) === to, `process ${to}: ${proxy.output()}`, 20_000);
  await ready(admin, proxy);
}

test("several restarts under load: new connections, a kept one and a response that lasts through all of them", async () => {
  let write = (_text: string) => undefined as unknown;
  let finish = () => undefined as unknown;
  const origin = await httpOrigin((incoming, response) => {
    if (incoming.url !== "/slow") {
      response.end("quick");
      return;
    }
    response.write("begun");
    write = (text) => response.write(text);
    finish = () => response.end("!");
  });
  const [admin, front] = [await freePort(), await freePort()];
  const path = file("b.json", staticBootstrap({ admin, front, origin }));
  const proxy = launchProxy(["-c", path, "--drain-time-s", "300", "--drain-strategy", "immediate"]);
  await ready(admin, proxy);
  const slow = await call(front, "/slow", new Agent());
  const whole = body(slow);
  let stop = false;
  const failed: string[] = [];
  let served = 0;
  const note = (answer: string, isGood: boolean) => {
    if (isGood) served += 1;
    else failed.push(answer);
  };
  const fresh = Array.from({ length: 3 }, async () => {
    while (!stop) {
      const answer = await raw(front, REQUEST);
      note(answer, answer.endsWith("quick"));
    }
  });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const kept = (async () => {
    while (!stop) {
      const answer = await call(front, "/", agent).then(body, (error: unknown) => String(error));
      note(answer, answer === "quick");
      await sleep(5);
    }
  })();
  try {
    for (let restart = 1; restart <= RESTARTS; restart += 1) {
      proxy.child.kill("SIGHUP");
      await replaced(proxy, admin, restart);
      write(` ${restart}`);
      await sleep(300);
    }
  } finally {
    // Or a failure would leave the loops turning.
    stop = true;
  }
  await Promise.all([...fresh, kept]);
  finish();
  assert.equal(await whole, `begun${Array.from({ length: RESTARTS }, (_, index) => ` ${index + 1}`).join("")}!`);
  assert.deepEqual(failed, []);
  assert.ok(served > 50, `${served}`);
  agent.destroy();
  proxy.child.kill("SIGTERM");
  assert.equal(await proxy.ended, 0);
});

test("a new configuration takes over, its listeners that are gone are closed, unix sockets stay; one that is wrong changes nothing", async () => {
  const origin = await httpOrigin((_incoming, response) => response.end("hello"));
  const [admin, front, other] = [await freePort(), await freePort(), await freePort()];
  const socketPath = join(folder(), "front.sock");
  const first = staticBootstrap({ admin, front, origin });
  const [listener] = Object(first["static_resources"]).listeners;
  const pipe = { ...listener, name: "pipe", address: { pipe: { path: socketPath } } };
  const gone = { ...listener, name: "gone", address: { socket_address: { address: "127.0.0.1", port_value: other } } };
  const statics = Object(first["static_resources"]);
  const path = file("b.json", { ...first, static_resources: { ...statics, listeners: [listener, pipe, gone] } });
  const proxy = launchProxy(["-c", path, "--drain-time-s", "5", "--drain-strategy", "immediate"]);
  await ready(admin, proxy);
  assert.match(await raw(other, REQUEST), /hello$/);
  const good = readFileSync(path, "utf8");
  writeFileSync(path, "{ nonsense");
  proxy.child.kill("SIGHUP");
  await until(() => proxy.output().includes("the old one goes on"), `the refusal: ${proxy.output()}`);
  assert.match(proxy.output(), /b\.json: /);
  assert.match(await raw(front, REQUEST), /hello$/);
  assert.equal(await epoch(admin), 0);
  writeFileSync(path, good);
  writeFileSync(path, JSON.stringify({ ...first, static_resources: { ...statics, listeners: [listener, pipe] } }));
  proxy.child.kill("SIGHUP");
  await replaced(proxy, admin, 2);
  await until(() => refuses(other), "the listener is gone");
  assert.match(await raw(front, REQUEST), /hello$/);
  assert.equal(await overPipe(socketPath), "hello");
  await sleep(1_500);
  assert.equal(await overPipe(socketPath), "hello");
  proxy.child.kill("SIGTERM");
  assert.equal(await proxy.ended, 0);
});

function refuses(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(false);
    });
    socket.on("error", () => resolve(true));
  });
}

function overPipe(socketPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path: "/" }, (response) => resolve(body(response)))
      .on("error", reject)
      .end();
  });
}
