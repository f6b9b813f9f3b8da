#!/usr/bin/env node
// The small process that stays while proxies come and go: it holds the listening sockets, and at SIGHUP starts a new proxy
// with them. The old one drains once the new one is ready; where the new one does not get ready, the old one goes on.
// Plain JavaScript and one import: this process is there as long as the proxy is, so its memory counts.
//
//   proxy-launcher.js PROGRAM ARGUMENT…

import { spawn } from "node:child_process";

const [program, ...args] = process.argv.slice(2);
/** What listens, by address: raw handles, which accept nothing here and keep what the kernel has queued. */
const sockets = new Map();
let epoch = 0;
let current = start();
let next;

for (const signal of ["SIGTERM", "SIGINT", "SIGUSR1"]) {
  process.on(signal, () => {
    next?.child.kill(signal);
    current.child.kill(signal);
  });
}
process.on("SIGHUP", () => {
  if (next !== undefined) say("a new process is being started already");
  else if (!current.ready) say("the process is not ready yet: nothing to hand over");
  else next = start();
});

function start() {
  const held = [...sockets];
  const child = spawn(program, args, {
    stdio: ["inherit", "inherit", "inherit", "ipc", ...held.map(([, handle]) => handle.fd)],
    env: {
      ...process.env,
      WEFT_RESTART_EPOCH: String(epoch),
      WEFT_LISTENING: JSON.stringify(held.map(([key], index) => [key, index + 4])),
    },
  });
  epoch += 1;
  const one = { child, ready: false, keys: new Set() };
  child.on("message", (message, handle) => onMessage(one, message, handle));
  child.on("error", (error) => onEnd(one, error.message, 1));
  child.on("exit", (code, signal) => onEnd(one, signal ?? `exit code ${code}`, code ?? 1));
  return one;
}

function onMessage(from, message, handle) {
  if (message.kind === "listening") {
    from.keys.add(message.key);
    if (handle !== undefined && handle !== null) {
      sockets.get(message.key)?.close();
      sockets.set(message.key, handle);
    }
  } else if (message.kind === "closed") {
    from.keys.delete(message.key);
    if (from === current && next === undefined) forget(message.key);
  } else if (message.kind === "ready") {
    from.ready = true;
    if (from === next) takeOver();
  }
}

function takeOver() {
  const old = current;
  current = next;
  next = undefined;
  for (const key of sockets.keys()) if (!current.keys.has(key)) forget(key);
  if (old.child.connected) old.child.send({ kind: "retire" });
}

function forget(key) {
  sockets.get(key)?.close();
  sockets.delete(key);
}

function onEnd(one, cause, code) {
  if (one === next) {
    next = undefined;
    say(`the new process did not get ready (${cause}): the old one goes on. Next: see its log above`);
    for (const key of one.keys) if (!current.keys.has(key)) forget(key);
  } else if (one === current) {
    next?.child.kill("SIGTERM");
    process.exit(code);
  }
}

function say(text) {
  process.stderr.write(`weft proxy: hot restart: ${text}\n`);
}
