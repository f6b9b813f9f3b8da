// What befalls a running cluster from outside: it ends or goes on, and leaves nothing behind.

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import test, { type TestContext } from "node:test";
import { Cluster, machineState, nothingLeft } from "./cluster.ts";
import { eventually } from "./process.ts";
import { transparentObstacle } from "./walk.ts";

for (const mode of ["explicit", "transparent"] as const) {
  test(`the data directory is removed, ${mode}: the cluster ends instead of running where no command finds it`, async (t) => {
    await loseDirectory(t, mode);
  });
}

async function loseDirectory(t: TestContext, mode: Cluster["mode"]): Promise<void> {
  const obstacle = mode === "transparent" ? await transparentObstacle(undefined) : undefined;
  if (obstacle !== undefined) {
    t.skip(obstacle);
    return;
  }
  const before = await machineState();
  const cluster = new Cluster({ mode, user: undefined });
  try {
    const up = await cluster.up();
    assert.equal(up.code, 0, up.stderr);
    const pid = await cluster.pid();
    rmSync(cluster.dataDir, { recursive: true, force: true });
    await eventually("the end of the cluster", 20_000, async () => (isAlive(pid) ? `process ${pid} runs` : true));
    await nothingLeft(cluster.folder);
    assert.equal(await machineState(), before);
  } finally {
    await cluster.dispose();
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
