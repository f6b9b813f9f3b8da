// The data directory, its lock and its ports: what a second or a crashed cluster meets.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { openDataDir } from "../../../src/cluster/data-dir.ts";
import { bringDown } from "../../../src/cluster/down.ts";
import { readLock, runningHolder, takeLock } from "../../../src/cluster/lock.ts";
import { openApiPort } from "../../../src/cluster/ports.ts";
import { startTimeOf } from "../../../src/cluster/process.ts";

function temporary(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "weft-cluster-"));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function open(path: string) {
  const dir = openDataDir(path);
  assert.ok(dir.ok);
  return dir.value;
}

test("a data directory is made for its owner alone, and found again", (context) => {
  const root = join(temporary(context), "a", "b");
  const dir = open(root);
  assert.equal(statSync(root).mode & 0o777, 0o700);
  assert.equal(open(root).root, dir.root);
});

test("a directory that holds something else is refused, and nothing is put into it", (context) => {
  const root = temporary(context);
  writeFileSync(join(root, "thesis.txt"), "mine");
  const dir = openDataDir(root);
  assert.ok(!dir.ok);
  assert.match(dir.error.message, /thesis\.txt/);
  assert.match(dir.error.next, /--data-dir/);
});

test("the demo's directory within it is weft's own, so that a cluster can be made beside it", (context) => {
  const root = temporary(context);
  assert.ok(openDataDir(join(root, "demo"), "demo").ok);
  assert.equal(open(root).root, root);
});

test("a folder of that name that is somebody else's is left alone", (context) => {
  const root = temporary(context);
  mkdirSync(join(root, "demo"));
  assert.ok(!openDataDir(root).ok);
});

test("a directory that can't be written is refused with its path", {
  skip: process.getuid?.() === 0 && "root may write everywhere",
}, (context) => {
  const root = temporary(context);
  chmodSync(root, 0o500);
  const dir = openDataDir(join(root, "x"));
  assert.ok(!dir.ok);
  assert.match(dir.error.message, new RegExp(join(root, "x")));
});

test("a file in the directory's place is refused", (context) => {
  const file = join(temporary(context), "file");
  writeFileSync(file, "");
  const dir = openDataDir(file);
  assert.ok(!dir.ok);
  assert.match(dir.error.message, /not a directory/);
});

test("a lock refuses a second holder by its process id, and can be taken again once it is given back", (context) => {
  const dir = open(temporary(context));
  const first = takeLock(dir);
  assert.ok(first.ok);
  const second = takeLock(dir);
  assert.ok(!second.ok);
  assert.match(second.error.message, new RegExp(`process ${process.pid}`));
  first.value.release();
  const third = takeLock(dir);
  assert.ok(third.ok);
  assert.equal(third.value.takenOver, false);
  third.value.release();
});

test("a lock whose holder is gone, or whose process id was given to another, is taken over", (context) => {
  const dir = open(temporary(context));
  for (const stale of [
    { pid: 2 ** 22 - 1, startTime: "1" },
    { pid: process.pid, startTime: "1" },
  ]) {
    writeFileSync(dir.lock, JSON.stringify(stale));
    const lock = takeLock(dir);
    assert.ok(lock.ok);
    assert.equal(lock.value.takenOver, true);
    lock.value.release();
  }
  writeFileSync(dir.lock, "{ torn");
  assert.ok(takeLock(dir).ok);
});

test("down signals the holder, waits for it, and cleans up what it left", async (context) => {
  const dir = open(temporary(context));
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000); console.log('up')"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  context.after(() => child.kill("SIGKILL"));
  await new Promise((resolve) => child.stdout.once("data", resolve));
  writeFileSync(dir.lock, JSON.stringify({ pid: child.pid, startTime: startTimeOf(child.pid ?? 0) ?? "" }));
  assert.equal(runningHolder(dir)?.pid, child.pid);
  let cleaned = 0;
  const clean = (): Promise<void> => {
    cleaned += 1;
    return Promise.resolve();
  };
  const first = await bringDown(dir, clean);
  assert.ok(first.ok);
  assert.equal(first.value.kind, "cleaned");
  assert.equal(cleaned, 1);
  assert.equal(readLock(dir), undefined);
  const second = await bringDown(dir, clean);
  assert.deepEqual(second, { ok: true, value: { kind: "not-running" } });
});

test("the API's port is kept; a fixed one that is taken is an error that names port and flag", async (context) => {
  const dir = open(temporary(context));
  const first = await openApiPort(dir, undefined);
  assert.ok(first.ok);
  first.value.server.close();
  const second = await openApiPort(dir, undefined);
  assert.ok(second.ok);
  assert.equal(second.value.port, first.value.port);
  const fixed = await openApiPort(dir, second.value.port);
  assert.ok(!fixed.ok);
  assert.match(fixed.error.message, new RegExp(`${second.value.port} \\(--api-port\\)`));
  const moved = await openApiPort(dir, undefined);
  assert.ok(moved.ok);
  assert.notEqual(moved.value.port, second.value.port);
  moved.value.server.close();
  second.value.server.close();
});
