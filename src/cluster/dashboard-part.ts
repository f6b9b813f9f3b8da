// The page as a part of the cluster: on the socket that was opened for it, with the files that the build made.

import { existsSync } from "node:fs";
import { request } from "node:http";
import { dirname, join } from "node:path";
import type { KubeClient } from "../api/client.ts";
import { podKind } from "../api/kubernetes/pod.ts";
import type { PodRuntime } from "../apiserver/pod-runtime.ts";
import { systemClock } from "../base/clock.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { ControlPlane } from "../control/control.ts";
import { Api } from "../dashboard/api.ts";
import { type Assets, readAssets } from "../dashboard/assets.ts";
import { PROXY_ANSWER_BYTES_MAX, PROXY_ANSWER_MS } from "../dashboard/limits.ts";
import type { PodName } from "../dashboard/proxies.ts";
import { startDashboard } from "../dashboard/server.ts";
import { WorldReader } from "../dashboard/world.ts";
import { defaultMeshConfig } from "../model/mesh-config.ts";
import { VERSION } from "../proxy/admin/server-info.ts";
import type { TraceReader } from "../traces/trace.ts";
import { inheritedSocket } from "./launch/launch.ts";
import type { Parts } from "./parts.ts";
import { runScript } from "./run-script.ts";
import { DASHBOARD_SOCKET, type InsideConfig } from "./task.ts";

export interface DashboardPartOptions {
  readonly client: KubeClient;
  readonly config: InsideConfig;
  /** Where the page may be built when the checkout can't be written. */
  readonly cache: string;
  readonly control: ControlPlane;
  readonly runtime: PodRuntime;
  readonly traces: TraceReader | undefined;
  readonly warn: (message: string) => void;
}

const ADMIN_PORT = 15_000;

/** Its address; empty where it can't be served, which keeps nothing else from starting. */
export async function openDashboard(options: DashboardPartOptions, parts: Parts): Promise<string> {
  const { client, config, control, warn } = options;
  const clock = systemClock;
  const fd = inheritedSocket(DASHBOARD_SOCKET);
  const started = await startDashboard({
    api: new Api({
      version: VERSION.split("/")[1] ?? VERSION,
      place: `local cluster, ${config.mode} mode`,
      clock,
      snapshot: () => control.snapshot(),
      sequence: () => control.sequence(),
      connections: () => control.connections(),
      world: new WorldReader({ client, clock, mesh: defaultMeshConfig }),
      client,
      ask: (pod, path) => askProxy(options, pod, path),
      traffic: control.traffic.view,
      traces: options.traces,
    }),
    clock,
    client,
    onWatched: () => control.traffic.want(),
    namespace: defaultMeshConfig.rootNamespace,
    assets: once(() => loadAssets(config.main, options.cache)),
    warn,
    listen: { host: "127.0.0.1", port: config.dashboardPort, ...(fd === undefined ? {} : { fd }) },
  });
  if (!started.ok) {
    warn(started.error);
    return "";
  }
  parts.add(() => started.value.close());
  return `http://127.0.0.1:${config.dashboardPort}`;
}

/** A failure is not kept: the next who asks tries again. */
function once<T>(make: () => Promise<Result<T, string>>): () => Promise<Result<T, string>> {
  let made: Promise<Result<T, string>> | undefined;
  return async () => {
    made ??= make();
    const result = await made;
    if (!result.ok) made = undefined;
    return result;
  };
}

/** Beside a compiled entry lie the files; from sources they are built, by a process of its own, when somebody looks. */
async function loadAssets(main: string, cache: string): Promise<Result<Assets, string>> {
  const compiled = join(dirname(main), "dashboard");
  if (main.endsWith(".js") && existsSync(compiled)) return readAssets(compiled);
  const script = join(dirname(dirname(main)), "scripts", "build-dashboard.js");
  const built = await runScript([script, cache]);
  return built.ok ? readAssets(built.value.trim()) : built;
}

async function askProxy(
  { client, runtime }: DashboardPartOptions,
  { namespace, pod }: PodName,
  path: string,
): Promise<Result<string, string>> {
  const found = await client.get(podKind, { namespace, name: pod });
  if (!found.ok) return err(found.error.message);
  const ref = { namespace, pod, uid: found.value.metadata.uid ?? "", container: "*" };
  const dialled = await runtime.dial(ref, ADMIN_PORT);
  if (!dialled.ok) return err(dialled.error.message);
  const { promise, resolve } = Promise.withResolvers<Result<string, string>>();
  const outgoing = request({
    path,
    headers: { host: pod, connection: "close" },
    timeout: PROXY_ANSWER_MS,
    createConnection: () => dialled.value,
  });
  outgoing.on("timeout", () => outgoing.destroy(new Error(`no answer within ${PROXY_ANSWER_MS} ms`)));
  outgoing.on("error", (error) => resolve(err(error.message)));
  outgoing.on("response", (response) => {
    const chunks: Buffer[] = [];
    let size = 0;
    response.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= PROXY_ANSWER_BYTES_MAX) chunks.push(chunk);
      else outgoing.destroy(new Error(`more than ${PROXY_ANSWER_BYTES_MAX} bytes`));
    });
    response.on("error", (error) => resolve(err(error.message)));
    response.on("end", () => {
      const text = Buffer.concat(chunks).toString("utf8");
      resolve(response.statusCode === 200 ? ok(text) : err(`${path} answered ${response.statusCode}`));
    });
  });
  outgoing.end();
  return promise;
}
