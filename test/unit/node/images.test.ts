// The image table: names, tags, and what a broken file says.

import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { ImageTable, parseImages } from "../../../src/node/images.ts";
import { removeDirectory, temporaryDirectory, value } from "./world.ts";

const directory = temporaryDirectory();
after(() => removeDirectory(directory));

const command = (...words: readonly string[]) => ({ command: words, args: [], workingDirectory: undefined });

test("a tag is found exactly, then by the name without it; weft's proxy has many names", () => {
  const table = new ImageTable(join(directory, "images.yaml"));
  value(table.set("api", command("node", "any.js")));
  value(table.set("registry:5000/api:2", { ...command("node", "two.js"), workingDirectory: "/shop" }));
  assert.deepEqual(table.resolve("api:9"), { kind: "command", command: command("node", "any.js") });
  const second = table.resolve("registry:5000/api:2");
  assert.ok(second.kind === "command" && second.command.workingDirectory === "/shop");
  assert.equal(table.resolve("registry:5000/api:3").kind, "unknown");
  for (const image of [
    "weft/proxy:1",
    "docker.io/istio/proxyv2:1.30.3",
    "auto",
    "gcr.io/istio-release/proxyv2@sha256:0",
  ]) {
    assert.equal(table.resolve(image).kind, "proxy", image);
  }
  assert.equal(value(table.delete("api")), true);
  assert.equal(value(table.delete("api")), false);
  assert.equal(table.resolve("api:9").kind, "unknown");
  assert.deepEqual(readdirSync(directory), ["images.yaml"]);
});

test("a broken table names the file and the place, and is not overwritten", () => {
  const path = join(directory, "broken.yaml");
  writeFileSync(path, "images:\n  api: {command: 7}\n");
  const table = new ImageTable(path);
  const resolved = table.resolve("api");
  assert.ok(resolved.kind === "broken" && resolved.message.includes(`${path}: images[api]: command`));
  assert.equal(table.set("web", command("x")).ok, false);
  const typo = parseImages("images: {api: {comand: [x]}}");
  assert.ok(!typo.ok && typo.error.includes('unknown field "comand"'));
});
