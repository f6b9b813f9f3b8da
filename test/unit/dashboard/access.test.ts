// Who gets into the page: real requests to a real server, with every credential that should not do.

import assert from "node:assert/strict";
import http from "node:http";
import test from "node:test";
import type { KubeClient } from "../../../src/api/client.ts";
import { VirtualClock } from "../../../src/base/clock.ts";
import { err, ok } from "../../../src/base/result.ts";
import { Api } from "../../../src/dashboard/api.ts";
import { DASHBOARD_AUDIENCE, EDITOR_ACCOUNT, VIEWER_ACCOUNT } from "../../../src/dashboard/login.ts";
import { startDashboard } from "../../../src/dashboard/server.ts";
import { WorldReader } from "../../../src/dashboard/world.ts";
import { defaultMeshConfig } from "../../../src/model/mesh-config.ts";
import { TrafficView } from "../../../src/traffic/query.ts";
import { TrafficStore } from "../../../src/traffic/store.ts";

interface Page {
  readonly port: number;
  readonly clock: VirtualClock;
}

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

const CSP = "content-security-policy";

/** Tokens are their accounts' names. */
const reviewer: Pick<KubeClient, "reviewToken"> = {
  reviewToken: async (token, audience) => {
    const [namespace = "", serviceAccount] = token.split(":");
    return serviceAccount === undefined || audience !== DASHBOARD_AUDIENCE
      ? err({ code: 401, reason: "Unauthorized", message: "not a token" })
      : ok({ namespace, serviceAccount, audiences: [audience] });
  },
};

async function withPage(run: (page: Page) => Promise<void>): Promise<void> {
  const clock = new VirtualClock();
  const gone = { code: 404, reason: "NotFound", message: "there is no such Canary" };
  const client = { list: async () => ok([]), mergePatch: async () => err(gone) };
  const html = Buffer.from("<!doctype html><title>weft</title>");
  const started = await startDashboard({
    api: new Api({
      version: "0",
      place: "a test",
      clock,
      snapshot: () => undefined,
      sequence: () => 0,
      connections: () => [],
      world: new WorldReader({ client, clock, mesh: defaultMeshConfig }),
      client,
      ask: async () => err("there is no proxy"),
      traffic: new TrafficView(new TrafficStore()),
      traces: undefined,
    }),
    clock,
    client: reviewer,
    namespace: "istio-system",
    assets: async () =>
      ok(new Map([["/", { type: "text/html", plain: html, gzipped: html, etag: '"1"', isForever: false }]])),
    onWatched: () => () => undefined,
    warn: (message) => assert.fail(message),
    listen: { host: "127.0.0.1", port: 0 },
  });
  assert.ok(started.ok, started.ok ? "" : started.error);
  try {
    await run({ port: started.value.port, clock });
  } finally {
    await started.value.close();
  }
}

function ask(
  { port }: Page,
  path: string,
  headers: http.OutgoingHttpHeaders = {},
  method: "GET" | "POST" = "GET",
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: "127.0.0.1", port, path, method, headers, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (piece: string) => {
        body += piece;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    request.on("error", reject);
    request.end();
  });
}

function field(body: string, name: string): string {
  return new RegExp(`"${name}":"([^"]+)"`).exec(body)?.[1] ?? "";
}

async function link(page: Page, account: string): Promise<string> {
  const answer = await ask(page, "/login", { authorization: `Bearer istio-system:${account}` }, "POST");
  assert.equal(answer.status, 200, answer.body);
  return field(answer.body, "path");
}

async function cookie(page: Page, account = VIEWER_ACCOUNT): Promise<string> {
  const opened = await ask(page, await link(page, account));
  assert.equal(opened.status, 200);
  const set = opened.headers["set-cookie"]?.[0] ?? "";
  assert.match(set, /HttpOnly; SameSite=Strict/);
  return set.split(";")[0] ?? "";
}

test("nobody sees anything without a session", async () => {
  await withPage(async (page) => {
    for (const path of ["/", "/api/mesh", "/api/services", "/api/live", "/main.js"]) {
      assert.equal((await ask(page, path)).status, 401, path);
      assert.equal((await ask(page, path, { cookie: `weft-dashboard-${page.port}=forged` })).status, 401, path);
    }
    const asked = await ask(page, "/");
    assert.match(asked.body, /weft dashboard/);
    assert.match(String(asked.headers[CSP]), /default-src 'none'/);
  });
});

test("a token of another account, for another audience, or none at all gets no link", async () => {
  await withPage(async (page) => {
    const statusOf = async (authorization: string | undefined) =>
      (await ask(page, "/login", authorization === undefined ? {} : { authorization }, "POST")).status;
    assert.equal(await statusOf(undefined), 401);
    assert.equal(await statusOf("Bearer nonsense"), 401);
    assert.equal(await statusOf("Bearer shop:weft-dashboard-viewer"), 403);
    assert.equal(await statusOf("Bearer istio-system:default"), 403);
  });
});

test("a link is good once and not for long", async () => {
  await withPage(async (page) => {
    const first = await link(page, VIEWER_ACCOUNT);
    assert.equal((await ask(page, first)).status, 200);
    assert.equal((await ask(page, first)).status, 401);
    const second = await link(page, VIEWER_ACCOUNT);
    page.clock.advance(121_000);
    assert.equal((await ask(page, second)).status, 401);
    assert.equal((await ask(page, "/login?code=")).status, 401);
  });
});

test("a session opens the page, until it ends or is left", async () => {
  await withPage(async (page) => {
    const session = await cookie(page);
    const opened = await ask(page, "/", { cookie: session });
    assert.equal(opened.status, 200);
    assert.match(String(opened.headers[CSP]), /script-src 'self'/);
    const mesh = await ask(page, "/api/mesh", { cookie: session });
    assert.equal(mesh.headers["cache-control"], "no-store");
    const own = { cookie: session, origin: `http://127.0.0.1:${page.port}`, "x-weft-csrf": field(mesh.body, "csrf") };
    assert.equal((await ask(page, "/api/logout", { cookie: session }, "POST")).status, 403);
    assert.equal((await ask(page, "/api/logout", own, "POST")).status, 204);
    assert.equal((await ask(page, "/", { cookie: session })).status, 401);

    const other = await cookie(page);
    page.clock.advance(12 * 3_600_000 + 1_000);
    assert.equal((await ask(page, "/", { cookie: other })).status, 401);
  });
});

test("a change needs the page's origin, its token, and a session that may change", async () => {
  await withPage(async (page) => {
    const session = await cookie(page, EDITOR_ACCOUNT);
    const csrf = field((await ask(page, "/api/mesh", { cookie: session })).body, "csrf");
    const origin = `http://127.0.0.1:${page.port}`;
    const change = async (headers: http.OutgoingHttpHeaders) =>
      (await ask(page, "/api/rollouts/a/b/abort", { cookie: session, ...headers }, "POST")).status;
    assert.equal(await change({ "x-weft-csrf": csrf }), 403, "no origin");
    assert.equal(await change({ "x-weft-csrf": csrf, origin: "http://127.0.0.1:1" }), 403, "another port");
    assert.equal(await change({ "x-weft-csrf": csrf, origin: "https://evil.example" }), 403, "another site");
    assert.equal(await change({ origin }), 403, "no token");
    assert.equal(await change({ origin, "x-weft-csrf": "A".repeat(csrf.length) }), 403, "another token");
    assert.equal(
      await change({ origin, "x-weft-csrf": csrf, "sec-fetch-site": "same-site" }),
      403,
      "the browser says so",
    );
    assert.equal(await change({ origin, "x-weft-csrf": csrf }), 409, "let through: there is only no such rollout");

    const viewer = await cookie(page);
    const seen = field((await ask(page, "/api/mesh", { cookie: viewer })).body, "csrf");
    const refused = await ask(page, "/api/rollouts/a/b/abort", { cookie: viewer, origin, "x-weft-csrf": seen }, "POST");
    assert.equal(refused.status, 403);
    assert.match(refused.body, /--allow-changes/);
  });
});

test("another name for this host is refused, and so is another site's page", async () => {
  await withPage(async (page) => {
    const session = await cookie(page);
    assert.equal((await ask(page, "/", { cookie: session, host: "evil.example" })).status, 421);
    assert.equal((await ask(page, "/api/mesh", { cookie: session, "sec-fetch-site": "cross-site" })).status, 403);
    const clicked = { cookie: session, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" };
    assert.equal((await ask(page, "/", clicked)).status, 200, "a link that leads here is no harm");
  });
});

test("who tries too often waits, and who asks too often too", async () => {
  await withPage(async (page) => {
    const session = await cookie(page);
    const attempts: number[] = [];
    for (let i = 0; i < 25; i += 1) attempts.push((await ask(page, "/login?code=guess")).status);
    assert.equal(attempts[0], 401);
    assert.equal(attempts.at(-1), 429);
    page.clock.advance(5_000);
    assert.equal((await ask(page, "/login?code=guess")).status, 401);

    const asked: number[] = [];
    for (let i = 0; i < 205; i += 1) asked.push((await ask(page, "/api/mesh", { cookie: session })).status);
    assert.equal(asked[0], 200);
    assert.equal(asked.at(-1), 429);
  });
});
