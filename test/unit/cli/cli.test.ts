// The command line as a user meets it: exit codes, messages on standard error, suggestions, formats.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as streamText } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { isRecord, parseJson, parseYamlDocuments } from "../../../src/base/json.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");

function weft(args: readonly string[], options: { readonly input?: string; readonly cwd?: string } = {}) {
  const { NO_COLOR: _no, FORCE_COLOR: _force, ...env } = process.env;
  const done = spawnSync(process.execPath, [join(ROOT, "bin", "weft.js"), ...args], {
    encoding: "utf8",
    env,
    cwd: options.cwd ?? ROOT,
    ...(options.input === undefined ? {} : { input: options.input }),
  });
  return { code: done.status, out: done.stdout, err: done.stderr };
}

function temporary(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "weft-cli-"));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test("help lists every command, and each has examples", () => {
  const help = weft(["--help"]);
  assert.equal(help.code, 0);
  const names = [...help.out.matchAll(/^ {2}([a-z-]+)(?:\|[a-z-]+)? {2,}/gm)].map((match) => match[1] ?? "");
  assert.ok(names.length >= 12, help.out);
  for (const name of names.filter((entry) => entry !== "help")) {
    const own = weft([name, "--help"]);
    assert.equal(own.code, 0, name);
    assert.match(own.out, /Examples:\n {2}\$ /, name);
  }
});

test("wrong usage is exit code 2 with a suggestion, on standard error", () => {
  const wrong = weft(["staus"]);
  assert.equal(wrong.code, 2);
  assert.equal(wrong.out, "");
  assert.match(wrong.err, /Did you mean status/);
  assert.equal(weft(["up", "--intercept", "magic"]).code, 2);
  assert.equal(weft(["up", "--api-port", "99999"]).code, 2);
  assert.equal(weft([]).code, 2);
});

test("version in three formats", () => {
  assert.match(weft(["version"]).out, /^weft \d+\.\d+\.\d+ /);
  const json = parseJson(weft(["version", "-o", "json"]).out);
  assert.ok(json.ok);
  const yaml = parseYamlDocuments(weft(["version", "-o", "yaml"]).out);
  assert.ok(yaml.ok);
  assert.deepEqual(yaml.value[0]?.value, json.value);
});

test("images are kept with the folder they run in", (context) => {
  const dataDir = join(temporary(context), "data");
  assert.equal(weft(["image", "set", "--data-dir", dataDir, "my:1.0", "--", "node", "--flag", "x.js"]).code, 0);
  const listed = parseJson(weft(["image", "list", "--data-dir", dataDir, "-o", "json"]).out);
  assert.deepEqual(listed, {
    ok: true,
    value: { images: [{ name: "my:1.0", command: ["node", "--flag", "x.js"], args: [], workingDirectory: ROOT }] },
  });
  assert.equal(weft(["image", "delete", "--data-dir", dataDir, "my:1.0"]).code, 0);
  const gone = weft(["image", "delete", "--data-dir", dataDir, "my:1.0"]);
  assert.equal(gone.code, 1);
  assert.match(gone.err, /there is no image my:1\.0/);
});

test("without a cluster, status says how to start one, and down has nothing to do", (context) => {
  const dataDir = join(temporary(context), "data");
  const status = weft(["status", "--data-dir", dataDir]);
  assert.equal(status.code, 1);
  assert.match(status.err, /weft up -d/);
  const json = weft(["status", "--data-dir", dataDir, "-o", "json"]);
  assert.deepEqual(parseJson(json.out), { ok: true, value: { running: false, dataDir } });
  assert.equal(weft(["down", "--data-dir", dataDir]).code, 0);
  assert.equal(weft(["kubeconfig", "--data-dir", dataDir]).code, 1);
});

test("inject reads standard input, writes YAML, and names what is broken", () => {
  const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: b}]}\n";
  const injected = weft(["kube-inject", "-f", "-"], { input: pod });
  assert.equal(injected.code, 0);
  assert.match(injected.out, /name: istio-proxy/);
  const broken = weft(["inject", "-f", "-"], { input: "a: [" });
  assert.equal(broken.code, 1);
  assert.equal(broken.out, "");
  assert.match(broken.err, /line 1/);
});

test("inject waits for the writer of its standard input", async () => {
  const child = spawn(process.execPath, [join(ROOT, "bin", "weft.js"), "inject", "-f", "-"]);
  const output = streamText(child.stdout);
  await setTimeout(700);
  child.stdin.end("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: a}]}\n");
  assert.match(await output, /name: istio-proxy/);
});

test("validate and up tell file and line, and start nothing", (context) => {
  const folder = temporary(context);
  const file = join(folder, "bad.yaml");
  writeFileSync(file, "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  prts: []\n");
  const validated = weft(["validate", "-f", file]);
  assert.equal(validated.code, 1);
  assert.match(validated.out, new RegExp(`error ${file}:5: Service/a: spec\\.prts: unknown field`));
  const up = weft(["up", "-d", "-f", file, "--data-dir", join(folder, "data")]);
  assert.equal(up.code, 1);
  assert.match(up.err, new RegExp(`${file}:5: Service/a: spec\\.prts`));
  assert.match(up.err, /Nothing was started/);
  assert.equal(weft(["validate", "-f", join(ROOT, "examples", "shop", "kubernetes")]).code, 0);
});

test("completion scripts name the commands", () => {
  for (const shell of ["bash", "zsh", "fish"]) assert.match(weft(["completion", shell]).out, /kubeconfig/);
  const syntax = spawnSync("bash", ["-n"], { input: weft(["completion", "bash"]).out, encoding: "utf8" });
  assert.equal(syntax.stderr ?? "", "");
});

test("an older Node starts the bundled one", { skip: olderNode() === undefined && "no older Node here" }, () => {
  const done = spawnSync(olderNode() ?? "", [join(ROOT, "bin", "weft.js"), "version", "-o", "json"], {
    encoding: "utf8",
  });
  const parsed = parseJson(done.stdout);
  assert.ok(parsed.ok, done.stderr);
  assert.match(done.stdout, /"node": "2[6-9]\./);
});

function olderNode(): string | undefined {
  for (const path of ["/usr/local/bin/node", "/usr/bin/node"]) {
    const done = spawnSync(path, ["--version"], { encoding: "utf8" });
    const major = Number(/^v(\d+)/.exec(done.stdout ?? "")?.[1] ?? 99);
    if (major >= 20 && major < 26) return path;
  }
  return undefined;
}

test("preview prints a pod's configuration from manifests, workloads that the cluster doesn't run included", () => {
  const manifests = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec: {serviceName: db, template: {metadata: {labels: {app: db}}, spec: {containers: [{name: db, image: db}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {selector: {app: db}, ports: [{name: http, port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: db, namespace: shop}
`;
  const done = weft(["preview", "-f", "-", "--pod", "shop/db"], { input: manifests });
  assert.equal(done.code, 0, done.err);
  assert.match(done.err, /^Warning: -:\d+: StatefulSet\/db: .*selector/m);
  assert.match(done.err, /^Warning: -:\d+: HTTPRoute\/db: kind: weft does not serve the kind HTTPRoute/m);
  const json = parseJson(done.out);
  assert.ok(json.ok && isRecord(json.value));
  assert.deepEqual(Object.keys(json.value), ["listeners", "routes", "clusters", "endpoints", "secrets"]);
  const yaml = parseYamlDocuments(
    weft(["preview", "-f", "-", "--pod", "shop/db-0", "-o", "yaml"], { input: manifests }).out,
  );
  assert.ok(yaml.ok);
  assert.deepEqual(yaml.value[0]?.value, json.value);

  const unknown = weft(["preview", "-f", "-", "--pod", "shop/web"], { input: manifests });
  assert.equal(unknown.code, 1);
  assert.match(unknown.err, /no pod or workload shop\/web: they have shop\/db-0/);
  const broken = weft(["preview", "-f", "-", "--pod", "shop/db"], { input: manifests.replace("port: 80", "port: x") });
  assert.equal(broken.code, 1);
  assert.match(broken.err, /-:10: Service\/db: spec\.ports\[0\]\.port/);
  assert.equal(weft(["preview", "--pod", "shop/db"]).code, 2);
  assert.equal(weft(["preview", "-f", "-", "--pod", "a/b/c"], { input: manifests }).code, 2);
});
