// The admin interface beside real Envoy's: the same bootstrap, the same calls; structure, names and refusals compared.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { isRecord } from "../../../src/base/json.ts";
import { httpOrigin } from "../../unit/proxy/harness.ts";
import { file, freePort, ready, runProxy, staticBootstrap, until } from "../../unit/sidecar/process.ts";
import { MISSING_STATS } from "./missing-stats.ts";

const beside = join(import.meta.dirname, "../../../bench/envoy/envoy/_bin/envoy");
const envoy = process.env["WEFT_ENVOY"] ?? (existsSync(beside) ? beside : "envoy");
const skip = spawnSync(envoy, ["--version"]).status === 0 ? false : `${envoy} is not installed (WEFT_ENVOY names it)`;

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const ports = { weft: { admin: 0, front: 0 }, envoy: { admin: 0, front: 0 } };
if (skip === false) await start();

async function start(): Promise<void> {
  const origin = await httpOrigin((_request, response) => response.end("hello"));
  for (const one of Object.values(ports)) Object.assign(one, { admin: await freePort(), front: await freePort() });
  const layers = [
    { name: "base", static_layer: { test: { value: 5 }, flag: true } },
    { name: "admin", admin_layer: {} },
  ];
  const bootstrap = (own: { admin: number; front: number }) => {
    const more = { node: { id: "n", cluster: "c" }, layered_runtime: { layers } };
    return file("b.json", staticBootstrap({ ...own, origin }, more));
  };
  const proxy = runProxy(["-c", bootstrap(ports.weft)]);
  const flags = ["--concurrency", "1", "--use-dynamic-base-id", "-l", "error"];
  const child = spawn(envoy, ["-c", bootstrap(ports.envoy), ...flags], { stdio: ["ignore", "inherit", "inherit"] });
  after(() => {
    child.kill("SIGKILL");
  });
  await ready(ports.weft.admin, proxy);
  const isReady = async () =>
    (await fetch(`http://127.0.0.1:${ports.envoy.admin}/ready`).catch(() => undefined))?.status;
  await until(async () => (await isReady()) === 200, "Envoy");
  for (const { front } of Object.values(ports)) {
    for (let count = 0; count < 5; count += 1) await (await fetch(`http://127.0.0.1:${front}/`)).text();
  }
}

describe("weft's admin interface beside Envoy's", { skip }, () => {
  async function ask(which: "weft" | "envoy", path: string, method = "GET"): Promise<Answer> {
    const answer = await fetch(`http://127.0.0.1:${ports[which].admin}${path}`, { method });
    const body = (await answer.text())
      .replaceAll(String(ports[which].admin), "ADMIN")
      .replaceAll(String(ports[which].front), "FRONT");
    return { status: answer.status, type: answer.headers.get("content-type") ?? "", body };
  }

  for (const [method, path] of [
    ["GET", "/ready"],
    ["GET", "/listeners"],
    ["GET", "/listeners?format=json"],
    ["GET", "/certs"],
    ["GET", "/drain_listeners"],
    ["GET", "/runtime_modify?a=b"],
    ["POST", "/runtime_modify"],
    ["GET", "/quitquitquit"],
    ["GET", "/reset_counters"],
    ["GET", "/healthcheck/fail"],
    ["POST", "/runtime_modify?test.value=7&other=x"],
    ["GET", "/runtime"],
    ["GET", "/stats?type=nothing"],
    ["GET", "/stats?filter=^cluster.origin.upstream_rq_total$"],
    ["GET", "/stats?filter=^cluster.origin.upstream_rq_200$&format=json"],
    ["GET", "/config_dump?resource=nothing"],
    ["GET", "/config_dump?resource=static_clusters&mask=cluster.name"],
    ["POST", "/healthcheck/fail"],
    ["GET", "/ready"],
    ["POST", "/healthcheck/ok"],
    ["POST", "/logging?level=nothing"],
  ] as const) {
    it(`${method} ${path}`, async () => {
      const [weft, real] = [await ask("weft", path, method), await ask("envoy", path, method)];
      assert.equal(weft.status, real.status, weft.body);
      assert.equal(weft.type.split(";")[0], real.type.split(";")[0]);
      // Usages go on with what each one has.
      if (path.startsWith("/logging") || path === "/runtime_modify")
        assert.equal(weft.body.split("\n")[0], real.body.split("\n")[0]);
      else assert.deepEqual(parsed(weft.body), parsed(real.body));
    });
  }

  it("/server_info and /memory have Envoy's fields", async () => {
    for (const path of ["/server_info", "/memory"]) {
      const [weft, real] = [parsed((await ask("weft", path)).body), parsed((await ask("envoy", path)).body)];
      assert.ok(isRecord(weft) && isRecord(real));
      assert.deepEqual(Object.keys(weft).sort(), Object.keys(real).sort());
    }
  });

  it("/clusters?format=json: each field of Envoy's is there", async () => {
    const path = "/clusters?format=json";
    const [weft, real] = [parsed((await ask("weft", path)).body), parsed((await ask("envoy", path)).body)];
    const missing = missingFrom(weft, real, "");
    assert.deepEqual(missing, []);
  });

  it("weft proxy-config reads both alike", async () => {
    const pages = { dump: "/config_dump?include_eds", clusters: "/clusters?format=json" };
    const shown = async (which: "weft" | "envoy", part: string, page: string) => {
      const answer = await fetch(`http://127.0.0.1:${ports[which].admin}${page}`);
      const path = file(`${which}.json`, await answer.json());
      const weft = join(import.meta.dirname, "../../../bin/weft.js");
      const done = spawnSync(process.execPath, [weft, "proxy-config", part, "-f", path], { encoding: "utf8" });
      assert.equal(done.status, 0, done.stderr);
      return done.stdout.replaceAll(String(ports[which].front), "FRONT");
    };
    for (const part of ["cluster", "listener", "route", "secret"]) {
      const own = await shown("weft", part, pages.dump);
      assert.equal(own, await shown("envoy", part, pages.dump), part);
      assert.ok(own.split("\n").length > (part === "secret" ? 1 : 2), own);
    }
    assert.equal(await shown("weft", "endpoint", pages.clusters), await shown("envoy", "endpoint", pages.clusters));
  });

  it("/stats: every name of Envoy's is there, or in the table with its reason", async () => {
    const names = async (which: "weft" | "envoy") => {
      const lines = (await ask(which, "/stats")).body.split("\n").filter((line) => line !== "");
      return new Set(lines.map((line) => line.slice(0, line.lastIndexOf(": ")).replace(/: .*/, "")));
    };
    const [weft, real] = [await names("weft"), await names("envoy")];
    const lacking = [...real].filter((name) => !weft.has(name));
    const unexplained = lacking.filter((name) => !MISSING_STATS.some(({ pattern }) => pattern.test(name)));
    assert.deepEqual(unexplained, []);
    for (const { pattern } of MISSING_STATS) {
      assert.ok(
        lacking.some((name) => pattern.test(name)),
        `${pattern} explains nothing: take it out of the table`,
      );
    }
  });
});

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Paths of what the second has and the first has not; of lists the first item counts. */
function missingFrom(own: unknown, real: unknown, path: string): readonly string[] {
  if (Array.isArray(real))
    return real.length === 0 ? [] : missingFrom(Array.isArray(own) ? own[0] : undefined, real[0], `${path}[]`);
  if (!isRecord(real)) return [];
  return Object.entries(real).flatMap(([key, value]) => {
    if (!isRecord(own) || !(key in own)) return [`${path}.${key}`];
    return missingFrom(own[key], value, `${path}.${key}`);
  });
}
