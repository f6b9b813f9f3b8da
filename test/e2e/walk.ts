// The walk: one cluster, the rows of the post in the post's order, once for each mode.

import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { Cluster, type ClusterOptions, kubectlPath, machineState, nothingLeft, root } from "./cluster.ts";
import { NOT_IN_EXPLICIT_MODE, NOT_WITH_ENVOY } from "./exceptions.ts";
import { type Manifest, type Post, readPost } from "./post.ts";
import { isOnPath, run, type User } from "./process.ts";
import type { Row, Walk } from "./row.ts";
import { BREAKING } from "./rows/breaking.ts";
import { CANARY } from "./rows/canary.ts";
import { ENVOY } from "./rows/envoy.ts";
import { INJECTION } from "./rows/injection.ts";
import { MTLS } from "./rows/mtls.ts";
import { ODDITIES } from "./rows/oddities.ts";
import { PEERS } from "./rows/peers.ts";
import { TRACING } from "./rows/tracing.ts";

const OF_ENVOY = "Envoy beside its agent";

const GROUPS: Readonly<Record<string, readonly Row[]>> = {
  "sidecar injection": INJECTION,
  "mTLS and access control": MTLS,
  "peers without a right certificate": PEERS,
  "canary and traffic splitting": CANARY,
  "circuit breaking": BREAKING,
  "distributed tracing": TRACING,
  "what the post really does": ODDITIES,
  [OF_ENVOY]: ENVOY,
};

const NOBODY: User = { uid: 65_534, gid: 65_534 };

export interface WalkOptions extends ClusterOptions {
  readonly title: string;
  readonly unprivileged?: boolean;
}

export function walk(options: WalkOptions): void {
  test(options.title, async (t) => {
    const seed = readPost();
    const absent = "absent" in seed ? seed.absent : await obstacle(options);
    if (absent !== undefined || "absent" in seed) {
      t.skip(absent);
      return;
    }
    const isRoot = process.getuid?.() === 0;
    const user = options.unprivileged === true && isRoot ? NOBODY : undefined;
    const before = await machineState();
    const cluster = new Cluster({ ...options, user });
    try {
      if (!(await t.test("weft up -d", () => bringUp(cluster)).then(() => isUp(cluster)))) return;
      await walkRows(t, { cluster, post: seed.post, ...takers(seed.post, cluster) });
      await t.test("weft down leaves nothing", async () => {
        await cluster.down();
        await nothingLeft(cluster.folder);
        assert.equal(await machineState(), before, "interfaces, namespaces, tables and mounts are as before");
      });
    } finally {
      await cluster.dispose();
    }
  });
}

/** Why this machine can't run it: said in the skip, and a failure in CI where CI installs it. */
async function obstacle(options: WalkOptions): Promise<string | undefined> {
  if (kubectlPath() === undefined) return "needs kubectl, not found: node scripts/install-tools.js";
  for (const tool of ["curl", "openssl", "ps"]) if (!isOnPath(tool)) return `needs ${tool}, not found`;
  const isRoot = process.getuid?.() === 0;
  if (options.unprivileged === true && isRoot) {
    const reads = await run([process.execPath, "-e", `require("fs").readdirSync(${JSON.stringify(root)})`], {
      user: NOBODY,
    });
    if (reads.code !== 0) return `the checkout ${root} is not readable for an unprivileged user`;
  }
  if (options.unprivileged !== true && options.mode === "transparent" && !isRoot)
    return "is for root; the unprivileged walk runs";
  if (options.mode === "transparent")
    return transparentObstacle(options.unprivileged === true && isRoot ? NOBODY : undefined);
  return undefined;
}

export async function transparentObstacle(user: User | undefined): Promise<string | undefined> {
  for (const tool of ["nft", "ip", "unshare", "nsenter"]) if (!isOnPath(tool)) return `needs ${tool}, not found`;
  const flags = ["--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--mount-proc"];
  const tried = await run(["unshare", ...flags, "true"], user === undefined ? {} : { user });
  return tried.code === 0 ? undefined : `this machine allows no user namespaces: ${tried.stderr.trim()}`;
}

async function bringUp(cluster: Cluster): Promise<void> {
  await cluster.start();
  // The post's last commands leave the namespace to the context.
  await cluster.kubectlOk(["config", "set-context", "--current", "--namespace=production"]);
  const status = await cluster.weft(["status", "-o", "json"]);
  assert.match(status.stdout, new RegExp(`"mode": *"${cluster.mode}"`), `weft status -o json: ${status.stdout}`);
  for (const name of ["mode", "pid", "api", "pods"]) assert.match(status.stdout, new RegExp(`"${name}"`));
}

async function isUp(cluster: Cluster): Promise<boolean> {
  return (await cluster.kubectl(["get", "namespaces"])).code === 0;
}

async function walkRows(t: TestContext, context: Walk): Promise<void> {
  const names = Object.values(GROUPS).flatMap((rows) => rows.map(({ name }) => name));
  const excepted = [...Object.keys(NOT_IN_EXPLICIT_MODE), ...Object.keys(NOT_WITH_ENVOY)];
  const unknown = excepted.filter((name) => !names.includes(name));
  assert.deepEqual(unknown, [], "every exception names a row");
  const only = process.env["WEFT_WALK_ROWS"];
  for (const [title, rows] of Object.entries(GROUPS)) {
    if (title === OF_ENVOY && context.cluster.proxy !== "envoy") continue;
    await t.test(title, async (group) => {
      for (const row of rows) {
        if (only !== undefined && row.sets !== true && !new RegExp(only).test(row.name)) continue;
        const exception = exceptionOf(row.name, context.cluster);
        await group.test(row.name, { timeout: 240_000 }, async (one) => {
          if (row.needs !== undefined && !isOnPath(row.needs)) one.skip(`needs ${row.needs}, not found`);
          else if (exception !== undefined) one.skip(exception);
          else await row.run(context);
        });
      }
    });
  }
}

function exceptionOf(row: string, { mode, proxy }: Cluster): string | undefined {
  const explicit = mode === "explicit" ? NOT_IN_EXPLICIT_MODE[row] : undefined;
  if (explicit !== undefined) return `not in explicit mode: ${explicit}`;
  const envoy = proxy === "envoy" ? NOT_WITH_ENVOY[row] : undefined;
  return envoy === undefined ? undefined : `not with Envoy: ${envoy}`;
}

function takers(post: Post, cluster: Cluster): Pick<Walk, "manifest" | "command"> {
  const manifest = (kind: string, name: string): Manifest => {
    const found = post.manifests.find((candidate) => candidate.kind === kind && candidate.name === name);
    assert.ok(found !== undefined, `the post has ${kind} ${name}`);
    return found;
  };
  const command = async (pattern: RegExp, places: Readonly<Record<string, string>> = {}): Promise<string> => {
    const found = post.commands.filter((candidate) => pattern.test(candidate));
    assert.equal(found.length, 1, `one command of the post matches ${pattern}`);
    let line = found[0] ?? "";
    for (const [place, value] of Object.entries(places)) line = line.replaceAll(`<${place}>`, value);
    const outcome = await cluster.shell(line);
    assert.equal(
      outcome.code,
      0,
      `${line} exited with ${outcome.code}:\n${outcome.stdout.slice(-2000)}${outcome.stderr.slice(-2000)}`,
    );
    return outcome.stdout + outcome.stderr;
  };
  return { manifest, command };
}
