import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { configMapKind } from "../../../src/api/kubernetes/config-map.ts";
import { openStore } from "../../../src/apiserver/store.ts";
import { startTestServer, temporaryDirectory } from "./support/server.ts";

test("what was acknowledged before a kill -9 is there afterwards, and versions go on", async (context) => {
  const dataDir = temporaryDirectory(context);
  const writer = spawn(process.execPath, [path.join(import.meta.dirname, "support/writer.ts"), dataDir]);
  context.after(() => writer.kill("SIGKILL"));
  let output = "";
  await new Promise<void>((resolve, reject) => {
    writer.on("exit", (code) => reject(new Error(`the writer ended by itself with ${code}`)));
    writer.stderr.on("data", (chunk) => reject(new Error(String(chunk))));
    writer.stdout.on("data", (chunk) => {
      output += String(chunk);
      if (output.split("\n").length > 200) resolve();
    });
  });
  writer.removeAllListeners("exit");
  const ended = new Promise((resolve) => writer.on("close", resolve));
  writer.kill("SIGKILL");
  await ended;
  // The last line may be cut off.
  const acknowledged = output
    .split("\n")
    .slice(0, -1)
    .map((line) => line.split(" "));
  const server = await startTestServer(context, { dataDir });
  const listed = await server.api.client.list(configMapKind, { namespace: "default" });
  assert.ok(listed.ok);
  const stored = new Map(listed.value.map((object) => [object.metadata.name, object]));
  for (const [name = "", version] of acknowledged) {
    assert.equal(stored.get(name)?.metadata.resourceVersion, version, name);
    assert.deepEqual(stored.get(name)?.data, { name });
  }
  const highest = Math.max(...listed.value.map((object) => Number(object.metadata.resourceVersion)));
  const next = await server.api.client.create(configMapKind, {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "next", namespace: "default" },
  });
  assert.ok(next.ok);
  assert.ok(Number(next.value.metadata.resourceVersion) > highest);
});

test("versions are not given twice, even after the newest object was deleted and the server restarted", async (context) => {
  const dataDir = temporaryDirectory(context);
  const first = await startTestServer(context, { dataDir });
  const url = "/api/v1/namespaces/default/configmaps";
  const { body } = await first.call("POST", url, { metadata: { name: "a" } });
  await first.call("DELETE", `${url}/a`);
  await first.api.close();
  const second = await startTestServer(context, { dataDir });
  const { body: list } = await second.call("GET", url);
  assert.ok(Number(list.metadata.resourceVersion) > Number(body.metadata.resourceVersion));
  assert.equal(list.items.length, 0);
});

test("keys and state are for the owner's eyes only, and survive", async (context) => {
  const dataDir = temporaryDirectory(context);
  const first = await startTestServer(context, { dataDir });
  const before = first.api.caPem;
  for (const name of fs.readdirSync(path.join(dataDir, "pki"))) {
    const { mode } = fs.statSync(path.join(dataDir, "pki", name));
    assert.equal(mode & 0o077, 0, name);
  }
  await first.api.close();
  const second = await startTestServer(context, { dataDir });
  assert.equal(second.api.caPem, before);
  assert.equal(second.token, first.token);
});

test("a state file that can't be opened is an error that names it", (context) => {
  const dataDir = temporaryDirectory(context);
  const file = path.join(dataDir, "state.db");
  fs.writeFileSync(file, "this is no database, and longer than a header of one hundred bytes would be".repeat(3));
  const opened = openStore(file);
  assert.ok(!opened.ok);
  assert.match(opened.error, new RegExp(`cannot open the cluster's state ${file}`));
});
