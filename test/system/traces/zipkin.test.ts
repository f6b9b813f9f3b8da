// A real Zipkin takes the spans of a chain of proxies, and shows one trace.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { isRecord } from "../../../src/base/json.ts";
import { call, echo, hop } from "../../unit/proxy/traced.ts";
import { freePort } from "../../walk/origin.ts";

const JAR = process.env["WEFT_ZIPKIN"] ?? join(import.meta.dirname, "../../../.tools/lib/zipkin.jar");
const START_MS = 90_000;
const SHOWN_MS = 20_000;

function obstacle(): string | false {
  if (!existsSync(JAR)) return `${JAR} is not there: node scripts/install-tools.js zipkin`;
  return spawnSync("java", ["-version"]).status === 0 ? false : "java, which runs Zipkin, is not installed";
}

/** On loopback only: its default is every address. */
function listeningOn(port: number): readonly string[] {
  const first = "--armeria.ports[0]";
  return [`${first}.ip=127.0.0.1`, `${first}.port=${port}`, `${first}.protocols[0]=http`];
}

async function until<T>(what: string, limitMs: number, look: () => Promise<T | undefined>): Promise<T> {
  const over = performance.now() + limitMs;
  for (;;) {
    const found = await look().catch(() => undefined);
    if (found !== undefined) return found;
    assert.ok(performance.now() < over, `${what} within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

test("Zipkin shows the trace of a request through two proxies", { skip: obstacle() }, async () => {
  const port = await freePort();
  const zipkin = spawn("java", ["-Xmx256m", "-jar", JAR, ...listeningOn(port)], {
    env: { ...process.env, STORAGE_TYPE: "mem", SELF_TRACING_ENABLED: "false" },
    stdio: "ignore",
  });
  after(() => zipkin.kill("SIGKILL"));
  const api = `http://127.0.0.1:${port}`;
  await until("Zipkin is up", START_MS, async () => ((await fetch(`${api}/health`)).ok ? true : undefined));
  const app = await echo();
  const about = { collectorPort: port, operation: "api.production.svc.cluster.local:8080/*" };
  const server = await hop({ ...about, upstreamPort: app.port, direction: "INBOUND", seed: 1 });
  const client = await hop({ ...about, upstreamPort: server.port, direction: "OUTBOUND", seed: 2 });
  await call(client.port, {}, "/api/x");
  const traceId = String(app.seen[0]?.["x-b3-traceid"]);
  const spans = await until("both spans", SHOWN_MS, async () => {
    const answer: unknown = await (await fetch(`${api}/api/v2/trace/${traceId}`)).json();
    return Array.isArray(answer) && answer.length === 2 ? answer.filter(isRecord) : undefined;
  });
  const above = spans.find(({ kind }) => kind === "CLIENT");
  const below = spans.find(({ kind }) => kind === "SERVER");
  assert.equal(below?.["parentId"], above?.["id"]);
  assert.equal(above?.["parentId"], undefined);
  assert.equal(below?.["name"], "api.production.svc.cluster.local:8080/*");
  assert.ok(isRecord(below["tags"]) && below["tags"]["http.status_code"] === "200");
});
