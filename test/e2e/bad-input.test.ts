// What a user gets wrong and what a machine does to a cluster: a clear error with the next step, nothing lost, nothing left.

import assert from "node:assert/strict";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { Cluster, kubectlPath, machineState, nothingLeft } from "./cluster.ts";
import { deployment, registerImages } from "./own.ts";
import { eventually, type Outcome, start, type User } from "./process.ts";
import { transparentObstacle } from "./walk.ts";

const isRoot = process.getuid?.() === 0;
const NOBODY: User = { uid: 65_534, gid: 65_534 };

async function withCluster(
  t: TestContext,
  mode: Cluster["mode"],
  use: (cluster: Cluster) => Promise<void>,
  user?: User,
): Promise<void> {
  if (kubectlPath() === undefined) {
    t.skip("needs kubectl, not found: node scripts/install-tools.js");
    return;
  }
  const obstacle = mode === "transparent" ? await transparentObstacle(user) : undefined;
  if (obstacle !== undefined) {
    t.skip(obstacle);
    return;
  }
  const cluster = new Cluster({ mode, user });
  try {
    await use(cluster);
  } finally {
    await cluster.dispose();
  }
}

function assertRefused(outcome: Outcome, why: RegExp, next: RegExp): void {
  assert.ok(!outcome.timedOut, "it ended by itself");
  assert.notEqual(outcome.code, 0, outcome.stdout);
  assert.match(outcome.stderr, why);
  assert.match(outcome.stderr, next);
  assert.ok(!/\n\s+at .*\.[tj]s:\d+/.test(outcome.stderr), `no stack for a user: ${outcome.stderr}`);
}

test("a port in use is named, with what to do, and nothing is left", async (t) => {
  await withCluster(t, "explicit", async (cluster) => {
    const holder = net.createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => holder.once("listening", resolve));
    const address = holder.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    try {
      assertRefused(await cluster.up("--api-port", String(port)), new RegExp(`${port}`), /--api-port|free/);
      await nothingLeft(cluster.folder);
    } finally {
      holder.close();
    }
  });
});

test("a data directory that cannot be written is named, with what to do", async (t) => {
  await withCluster(
    t,
    "explicit",
    async (cluster) => {
      const locked = join(cluster.folder, "locked");
      mkdirSync(locked, { mode: 0o555 });
      const outcome = await cluster.upIn(join(locked, "data"));
      chmodSync(locked, 0o755);
      assertRefused(outcome, /locked/, /--data-dir/);
      await nothingLeft(cluster.folder);
    },
    isRoot ? NOBODY : undefined,
  );
});

test("a directory that holds other things is left alone", async (t) => {
  await withCluster(t, "explicit", async (cluster) => {
    mkdirSync(cluster.dataDir);
    writeFileSync(join(cluster.dataDir, "thesis.txt"), "precious");
    assertRefused(await cluster.up(), /thesis\.txt/, /--data-dir/);
  });
});

test("broken YAML and a wrong field in -f are named with their place before anything starts", async (t) => {
  await withCluster(t, "explicit", async (cluster) => {
    const file = join(cluster.folder, "bad.yaml");
    writeFileSync(file, "kind: [unclosed\n", { mode: 0o644 });
    assertRefused(await cluster.up("-f", file), /bad\.yaml/, /line|column/i);
    writeFileSync(file, "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {ports: [{prot: 80}]}\n", {
      mode: 0o644,
    });
    assertRefused(await cluster.up("-f", file), /bad\.yaml[\s\S]*spec\.ports\[0\]/, /started|Correct/);
    assertRefused(await cluster.up("-f", join(cluster.folder, "absent.yaml")), /absent\.yaml/, /-f|file/);
    await nothingLeft(cluster.folder);
  });
});

test("a second weft up names the first, which goes on", async (t) => {
  await withCluster(t, "explicit", async (cluster) => {
    await cluster.start();
    const pid = await cluster.pid();
    assertRefused(await cluster.up(), new RegExp(`${pid}`), /weft (status|down)/);
    assert.equal((await cluster.kubectl(["get", "namespaces"])).code, 0);
    await cluster.down();
    await nothingLeft(cluster.folder);
  });
});

test("commands without a cluster say how to start one", async (t) => {
  await withCluster(t, "explicit", async (cluster) => {
    for (const args of [["status"], ["kubeconfig"]])
      assertRefused(await cluster.weft(args), /no .*cluster|not run/i, /weft up/);
  });
});

for (const mode of ["explicit", "transparent"] as const) {
  test(`kill -9, ${mode}: a new weft up has every object, runs the pods again, versions go on`, async (t) => {
    await withCluster(t, mode, (cluster) => killAndReturn(cluster));
  });

  test(`Ctrl-C, ${mode}: everything that was started ends`, async (t) => {
    await withCluster(t, mode, (cluster) => interrupt(cluster));
  });
}

async function killAndReturn(cluster: Cluster): Promise<void> {
  const before = await machineState();
  await cluster.start();
  await registerImages(cluster);
  await cluster.kubectlOk(["label", "namespace", "default", "istio-injection=enabled"]);
  await cluster.apply(deployment({ name: "steady", namespace: "default" }));
  await cluster.deploymentReady("default", "steady");
  await cluster.kubectlOk(["create", "configmap", "kept", "--from-literal=key=value"]);
  const version = await versionOf(cluster, "kept");
  process.kill(await cluster.pid(), "SIGKILL");
  const again = await cluster.up();
  assert.equal(again.code, 0, again.stdout + again.stderr);
  await cluster.useKubeconfig();
  assert.equal(await cluster.kubectlOk(["get", "configmap", "kept", "-o", "jsonpath={.data.key}"]), "value");
  assert.equal(await versionOf(cluster, "kept"), version);
  await cluster.kubectlOk(["create", "configmap", "later", "--from-literal=key=value"]);
  assert.ok((await versionOf(cluster, "later")) > version, "resource versions go on");
  await cluster.deploymentReady("default", "steady");
  await eventually("the pod 2/2 again", 60_000, async () => {
    const pods = await cluster.kubectlOk(["get", "pods", "-n", "default"]);
    return /^steady-\S+ +2\/2 +Running/m.test(pods) ? true : pods;
  });
  await cluster.down();
  await nothingLeft(cluster.folder);
  assert.equal(await machineState(), before);
}

async function versionOf(cluster: Cluster, name: string): Promise<number> {
  return Number(await cluster.kubectlOk(["get", "configmap", name, "-o", "jsonpath={.metadata.resourceVersion}"]));
}

async function interrupt(cluster: Cluster): Promise<void> {
  const before = await machineState();
  const foreground = start(cluster.weftArgv(["up", "--intercept", cluster.mode]), cluster.environment(), [
    "ignore",
    "pipe",
    "pipe",
  ]);
  const ended = new Promise<number | null>((resolve) => foreground.once("exit", resolve));
  let said = "";
  for (const stream of [foreground.stdout, foreground.stderr]) stream?.on("data", (chunk) => (said += String(chunk)));
  await eventually("up in the foreground", 60_000, async () => {
    const status = await cluster.weft(["status", "-o", "json"]);
    return status.code === 0 && /"api"/.test(status.stdout) ? true : `${said}${status.stdout}${status.stderr}`;
  });
  await cluster.useKubeconfig();
  await registerImages(cluster);
  await cluster.apply(deployment({ name: "steady", namespace: "default", inject: true }));
  await cluster.deploymentReady("default", "steady");
  assert.ok(foreground.pid !== undefined);
  // To the whole group, as a terminal does.
  process.kill(-foreground.pid, "SIGINT");
  const code = await Promise.race([
    ended,
    new Promise<string>((resolve) => setTimeout(resolve, 45_000, "still running")),
  ]);
  assert.notEqual(code, "still running", said);
  await nothingLeft(cluster.folder);
  assert.equal(await machineState(), before);
}
