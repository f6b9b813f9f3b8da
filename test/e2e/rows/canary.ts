// Canary, A/B, timeouts and retries: what the VirtualService of the post does, and what its patch does to it.

import assert from "node:assert/strict";
import { caller } from "../own.ts";
import { eventually, sleep } from "../process.ts";
import { appliesAsItStands, type Row, type Walk } from "../row.ts";
import { type Answer, allOk, ask, assertShare, send, tally } from "../traffic.ts";

const API = "http://api.production.svc.cluster.local:8080/api";
const SPLIT_REQUESTS = 2_000;
/** Within this, a change of weights has reached every request. */
const FOLLOWS_MS = 2_000;

type Weights = readonly [v1: number, v2: number];

export const CANARY: readonly Row[] = [
  ...[
    ["DestinationRule", "api"],
    ["VirtualService", "api"],
  ].map(([kind = "", name = ""]) => appliesAsItStands(kind, name)),
  {
    name: "both versions answer",
    sets: true,
    run: async ({ cluster }) => {
      const from = await caller(cluster, "frontend");
      await eventually("answers of v1 and of v2", 20_000, async () => {
        const seen = tally(await send(cluster, from, { url: `${API}/x`, count: 100, concurrency: 4 }));
        return (seen["200 v1"] ?? 0) + (seen["200 v2"] ?? 0) === 100 && seen["200 v2"] !== undefined
          ? true
          : JSON.stringify(seen);
      });
    },
  },
  {
    name: "90/10: 2,000 requests fall within the binomial 99.9 % interval",
    run: async ({ cluster }) => {
      const from = await caller(cluster, "frontend");
      assertShare(await send(cluster, from, { url: `${API}/x`, count: SPLIT_REQUESTS, concurrency: 8 }), "v2", 0.1);
    },
  },
  {
    name: "a hanging backend gets one try and a 504 after perTryTimeout: the default retryOn lacks it",
    run: (walk) => hang(walk, { afterMs: 5_000, tries: 1 }),
  },
  {
    name: "with retryOn gateway-error,reset: 5 s a try, 504 at the route's 10 s",
    run: async (walk) => {
      await route(walk, {
        timeout: "10s",
        retries: { attempts: 3, perTryTimeout: "5s", retryOn: "gateway-error,reset" },
      });
      await hang(walk, { afterMs: 10_000, tries: 2 });
    },
  },
  {
    name: "timeout alone ends a slow answer at its time",
    run: async (walk) => {
      await route(walk, { timeout: "2s" });
      await hang(walk, { afterMs: 2_000, tries: 1 });
    },
  },
  {
    name: "attempts are counted: a 503 is tried once by default, four times with retryOn 5xx and 3 attempts",
    run: async (walk) => {
      const from = await caller(walk.cluster, "frontend");
      await route(walk, { retries: { attempts: 3 } });
      assert.equal(
        await triesOf(walk, "once", () =>
          ask(walk.cluster, from, { url: `${API}/x?status=503`, headers: { "x-walk-id": "once" } }),
        ),
        1,
      );
      await route(walk, { retries: { attempts: 3, retryOn: "5xx" } });
      assert.equal(
        await triesOf(walk, "four", () =>
          ask(walk.cluster, from, { url: `${API}/x?status=503`, headers: { "x-walk-id": "four" } }),
        ),
        4,
      );
    },
  },
  { name: "A/B: a header sends its users to v2 while the others stay", run: abTest },
  {
    name: "the post's manifest applied again takes the changes back",
    sets: true,
    run: async ({ cluster, manifest }) => {
      assert.match(await cluster.apply(manifest("VirtualService", "api").yaml), /configured|unchanged/);
      await shares({ cluster }, [90, 10]);
    },
  },
  { name: "the post's patch to 75/25, on to 50/50 and to 100: the split follows, nothing in flight fails", run: shift },
];

async function hang(walk: Walk, expected: { readonly afterMs: number; readonly tries: number }): Promise<void> {
  const id = `hang-${expected.afterMs}-${expected.tries}`;
  const from = await caller(walk.cluster, "frontend");
  let answer: Answer | undefined;
  const tries = await triesOf(walk, id, async () => {
    answer = await ask(walk.cluster, from, { url: `${API}/hang`, headers: { "x-walk-id": id }, timeoutMs: 30_000 });
  });
  assert.equal(answer?.status, 504, JSON.stringify(answer));
  const tookMs = answer?.tookMs ?? 0;
  assert.ok(
    tookMs >= expected.afterMs - 50 && tookMs < expected.afterMs + 900,
    `${tookMs} ms, not ${expected.afterMs}`,
  );
  assert.equal(tries, expected.tries, "tries that reached the api");
}

/** How often a request of this id reached an api container, by what they logged. */
async function triesOf({ cluster }: Walk, id: string, act: () => Promise<unknown>): Promise<number> {
  await act();
  const logs = await cluster.kubectlOk(["logs", "-n", "production", "-l", "app=api", "-c", "api", "--tail=-1"]);
  return logs.split("\n").filter((line) => line.startsWith(`${id} `)).length;
}

/** Keeps the post's destinations and gives them another policy. */
async function route({ cluster }: Walk, policy: Readonly<Record<string, unknown>>): Promise<void> {
  const destinations = [
    { destination: { host: "api", subset: "v1" }, weight: 90 },
    { destination: { host: "api", subset: "v2" }, weight: 10 },
  ];
  await patchRoutes({ cluster }, [{ match: [{ uri: { prefix: "/" } }], route: destinations, ...policy }]);
}

async function patchRoutes({ cluster }: Pick<Walk, "cluster">, http: readonly unknown[]): Promise<void> {
  const patch = JSON.stringify({ spec: { http } });
  await cluster.kubectlOk(["patch", "virtualservice", "api", "-n", "production", "--type", "merge", "-p", patch]);
  await sleep(FOLLOWS_MS);
}

async function abTest({ cluster }: Walk): Promise<void> {
  const to = (subset: string): readonly unknown[] => [{ destination: { host: "api", subset } }];
  const beta = [{ headers: { "x-user-group": { exact: "beta" } } }];
  await patchRoutes({ cluster }, [{ match: beta, route: to("v2") }, { route: to("v1") }]);
  const from = await caller(cluster, "frontend");
  const plan = { url: `${API}/x`, count: 100, concurrency: 4 };
  assertShare(await send(cluster, from, { ...plan, headers: { "x-user-group": "beta" } }), "v2", 1);
  assertShare(await send(cluster, from, { ...plan, headers: { "x-user-group": "stable" } }), "v2", 0);
  assertShare(await send(cluster, from, plan), "v2", 0);
}

async function shares({ cluster }: Pick<Walk, "cluster">, [, v2]: Weights): Promise<void> {
  await sleep(FOLLOWS_MS);
  const from = await caller(cluster, "frontend");
  assertShare(await send(cluster, from, { url: `${API}/x`, count: 500, concurrency: 4 }), "v2", v2 / 100);
}

async function shift(walk: Walk): Promise<void> {
  const { cluster, post } = walk;
  const line = post.commands.find((command) => command.startsWith("kubectl patch virtualservice api"));
  assert.ok(line !== undefined, "the post patches its VirtualService");
  const from = await caller(cluster, "frontend");
  // Long enough for the changes below; every one of them meets requests that are under way.
  const background = send(cluster, from, { url: `${API}/x?delayMs=150`, durationMs: 24_000, concurrency: 6 });
  try {
    await sleep(1_000);
    const first = await cluster.shell(line);
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stdout, /patched/);
    for (const lost of ["match", "timeout", "retries"])
      assert.match(first.stderr, new RegExp(`Warning:.*${lost}`), "the patch's answer names what was lost");
    await shares(walk, [75, 25]);
    for (const weights of [
      [50, 50],
      [0, 100],
    ] satisfies readonly Weights[]) {
      const changed = await cluster.shell(
        line.replace('"weight":75', `"weight":${weights[0]}`).replace('"weight":25', `"weight":${weights[1]}`),
      );
      assert.equal(changed.code, 0, changed.stderr);
      await shares(walk, weights);
    }
  } finally {
    // Whatever came of the changes, later rows count connections: none of these may still be under way.
    await background;
  }
  allOk(await background);
}
