// What happens to processes when weft dies without a word, and what a new weft finds and ends.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { podKind } from "../../../src/api/kubernetes/pod.ts";
import { endLeftovers, Ledger, POD_MARK } from "../../../src/node/explicit/ledger.ts";
import {
  eventually,
  gone,
  isReady,
  NAMESPACE,
  openWorld,
  podWhen,
  removeDirectory,
  temporaryDirectory,
  value,
} from "./world.ts";

const linux = process.platform === "linux" ? {} : { skip: "needs /proc" };

/** Command lines of processes that belong to a pod with this uid. */
function processesOf(uid: string): readonly string[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const environment = readFileSync(`/proc/${name}/environ`, "utf8");
      return environment.includes(`${POD_MARK}=${uid}\0`) ? [readFileSync(`/proc/${name}/cmdline`, "utf8")] : [];
    } catch {
      return [];
    }
  });
}

test("after kill -9 nothing runs on, and a new node on the directory runs the pod again", linux, async () => {
  const dataDir = temporaryDirectory();
  const child = spawn(process.execPath, [fileURLToPath(new URL("crash-child.ts", import.meta.url)), dataDir], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  const uid = readdirSync(join(dataDir, "run", "pods"))[0] ?? "";
  assert.ok(processesOf(uid).length >= 2, "the shell and its child run");
  child.kill("SIGKILL");
  await once(child, "exit");
  await eventually(() => (processesOf(uid).length === 0 ? true : undefined), "the end of the crashed weft's processes");

  const world = await openWorld({ dataDir });
  try {
    const found = await podWhen(
      world,
      "survivor",
      (pod) => isReady(pod) && pod.status?.containerStatuses?.[0]?.restartCount === 1,
    );
    assert.equal(found.metadata.uid, uid);
    assert.equal(found.status?.containerStatuses?.[0]?.lastState?.terminated?.exitCode, 255);
    value(await world.client.remove(podKind, { namespace: NAMESPACE, name: "survivor" }));
    await gone(world, "survivor");
    assert.deepEqual(processesOf(uid), []);
  } finally {
    await world.close();
    removeDirectory(dataDir);
  }
});

test("close leaves no process and no directory of a pod, and keeps the pod in the API", linux, async () => {
  const dataDir = temporaryDirectory();
  const child = spawn(process.execPath, [fileURLToPath(new URL("crash-child.ts", import.meta.url)), dataDir], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
  const world = await openWorld({ dataDir });
  const found = await podWhen(world, "survivor", isReady);
  await world.close();
  assert.deepEqual(processesOf(found.metadata.uid ?? ""), []);
  assert.deepEqual(readdirSync(join(dataDir, "run", "pods")), []);
  assert.deepEqual(readdirSync(join(dataDir, "run", "processes")), []);
  removeDirectory(dataDir);
});

test(
  "leftovers are ended by their recorded start time; a stranger with the same number is left alone",
  linux,
  async () => {
    const directory = temporaryDirectory();
    const begin = () =>
      spawn("sleep", ["1000"], { detached: true, stdio: "ignore", env: { PATH: "/usr/bin:/bin", [POD_MARK]: "u1" } });
    const left = begin();
    const stranger = begin();
    const ledger = new Ledger(directory, "earlier");
    ledger.record(left.pid ?? 0, "u1");
    mkdirSync(join(directory, "another"));
    writeFileSync(join(directory, "another", String(stranger.pid)), "12345\nu1\n");
    const ended = once(left, "exit");
    assert.equal(endLeftovers(directory), 1);
    await ended;
    assert.equal(stranger.exitCode, null);
    assert.equal(stranger.signalCode, null);
    assert.deepEqual(readdirSync(directory), []);
    stranger.kill("SIGKILL");
    removeDirectory(directory);
  },
);
