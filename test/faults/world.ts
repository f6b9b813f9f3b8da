// A proxy in front of a faulty cluster and a good one, with an access log, and what must be back to nothing afterwards.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { Registry } from "../../src/observe/metrics.ts";
import { Bootstrap } from "../../src/proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import { fromEnvoyJson } from "../../src/proto/json.ts";
import { startProxy } from "../../src/proxy/run/proxy.ts";
import { address, clusterJson } from "../framing/world.ts";
import { httpOrigin, raw, type Started, stat } from "../unit/proxy/harness.ts";

type Json = Readonly<Record<string, unknown>>;

export interface FaultWorld extends Started {
  /** Lines of the access log so far: `CODE FLAGS DETAILS`, without those of the good cluster. */
  log(): readonly string[];
}

export interface FaultSetup {
  readonly origin: number;
  readonly route?: Json;
  readonly cluster?: Json;
  readonly hcm?: Json;
  readonly clock?: Clock;
  readonly logPath?: string;
}

const EXTENSIONS = "type.googleapis.com/envoy.extensions";

export async function faultWorld(setup: FaultSetup): Promise<FaultWorld> {
  const folder = mkdtempSync(join(tmpdir(), "weft-faults-"));
  after(() => rmSync(folder, { recursive: true }));
  const path = setup.logPath ?? join(folder, "access.log");
  const good = await httpOrigin((_request, response) => response.end("good"));
  const bootstrap = fromEnvoyJson(Bootstrap, JSON.parse(JSON.stringify(bootstrapOf(setup, good, path))));
  assert.ok(bootstrap.ok, bootstrap.ok ? "" : bootstrap.error.join("\n"));
  const registry = new Registry();
  const proxy = startProxy({
    bootstrap: bootstrap.value,
    source: undefined,
    localSecrets: undefined,
    clock: setup.clock ?? systemClock,
    random: seededRandom(7),
    registry,
  });
  after(() => proxy.close());
  await proxy.ready;
  return {
    proxy,
    registry,
    port: proxy.port("main"),
    log: () =>
      (existsSync(path) ? readFileSync(path, "utf8") : "")
        .split("\n")
        .filter((line) => line !== "" && !line.startsWith("/good"))
        .map((line) => line.replace(/^\S+ /, "")),
  };
}

function bootstrapOf(setup: FaultSetup, good: number, path: string): Json {
  const format = "%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n";
  const log = {
    "@type": `${EXTENSIONS}.access_loggers.file.v3.FileAccessLog`,
    path,
    logFormat: { textFormatSource: { inlineString: format } },
  };
  const manager = {
    "@type": `${EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    statPrefix: "test",
    accessLog: [{ name: "envoy.access_loggers.file", typedConfig: log }],
    routeConfig: {
      name: "test",
      virtualHosts: [
        {
          name: "all",
          domains: ["*"],
          routes: [
            { match: { prefix: "/good" }, route: { cluster: "good" } },
            { match: { prefix: "/" }, route: { cluster: "a", ...setup.route } },
          ],
        },
      ],
    },
    httpFilters: [
      { name: "envoy.filters.http.router", typedConfig: { "@type": `${EXTENSIONS}.filters.http.router.v3.Router` } },
    ],
    ...setup.hcm,
  };
  const filters = [{ name: "envoy.filters.network.http_connection_manager", typedConfig: manager }];
  return {
    staticResources: {
      listeners: [{ name: "main", address: address(0), filterChains: [{ filters }] }],
      clusters: [clusterJson("a", setup.origin, setup.cluster ?? {}), clusterJson("good", good, {})],
    },
  };
}

/** The proxy serves others as before. */
export async function goesOn(port: number): Promise<void> {
  const answer = await raw(port, "GET /good HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  assert.match(answer, /^HTTP\/1\.1 200 .*good$/s);
}

const ZERO = [
  "http.test.downstream_rq_active",
  "http.test.downstream_cx_active",
  "cluster.a.upstream_rq_active",
  "cluster.a.upstream_rq_pending_active",
];

/** Waits until nothing is under way, and says what still is. */
export async function nothingLeft(registry: Registry, more: readonly string[] = []): Promise<void> {
  const names = [...ZERO, ...more];
  await until(() => names.every((name) => stat(registry, name) <= 0));
  assert.deepEqual(
    names.filter((name) => stat(registry, name) !== 0).map((name) => `${name} ${stat(registry, name)}`),
    [],
    "still active",
  );
}

/** Waits for it, at most six seconds. */
export async function until(happened: () => boolean): Promise<void> {
  for (let tries = 0; tries < 6000 && !happened(); tries += 1) await new Promise((resolve) => setTimeout(resolve, 1));
}

export function openFiles(): number {
  return readdirSync("/proc/self/fd").length;
}
