// Starting a cluster on this machine: the directory, the lock, the port and the mode; then its parts, in this process
// or inside namespaces of their own.

import { createSocket, type Socket } from "node:dgram";
import { err, ok, type Result } from "../base/result.ts";
import { beginAfresh, type DataDir, openDataDir } from "./data-dir.ts";
import { chooseProxy, type ProxyWish } from "./envoy.ts";
import type { ClusterError } from "./failure.ts";
import { runInside } from "./inside.ts";
import { launchInNamespaces } from "./launch/launch.ts";
import { cleanLeftovers } from "./leftovers.ts";
import { type Lock, takeLock } from "./lock.ts";
import { chooseMode, type Intercept } from "./mode.ts";
import { chooseControlPorts, type OpenPort, openApiPort, openDashboardPort } from "./ports.ts";
import { type OpenPublished, openPublished, publishedSockets } from "./publish.ts";
import { onStopSignals } from "./signals.ts";
import { clearState } from "./state.ts";
import { DASHBOARD_SOCKET, type InsideConfig, type Task, writeConfig } from "./task.ts";

export interface StartRequest {
  readonly dataDir: string;
  readonly apiPort: number | undefined;
  readonly dashboardPort: number | undefined;
  readonly intercept: Intercept;
  /** The program's entry, for starting it again inside namespaces. */
  readonly main: string;
  readonly proxy: ProxyWish;
  readonly task: Task;
}

const INSIDE_COMMAND = "inside";
export const INSIDE_VARIABLE = "WEFT_INSIDE";
export const API_SOCKET = "api";
export const DNS_SOCKET = "dns";

/** Inside a network of its own, nobody else has them. */
const ISTIO_PORTS = { plain: 15_010, tls: 15_012, debug: 15_014 };

/** Runs the task and everything below it until it ends; the exit code is the task's. */
export async function startCluster(request: StartRequest): Promise<Result<number, ClusterError>> {
  const proxy = chooseProxy(request.proxy, request.main, process.env);
  if (!proxy.ok) return proxy;
  const isDemo = request.task.kind === "demo";
  const dir = openDataDir(request.dataDir, isDemo ? "demo" : "cluster");
  if (!dir.ok) return dir;
  const lock = takeLock(dir.value);
  if (!lock.ok) return lock;
  try {
    if (lock.value.takenOver) await cleanLeftovers(dir.value);
    clearState(dir.value);
    if (isDemo) beginAfresh(dir.value);
    const mode = await chooseMode(request.intercept);
    if (!mode.ok) return mode;
    const port = await openApiPort(dir.value, request.apiPort);
    if (!port.ok) return port;
    const control = mode.value.mode === "explicit" ? await chooseControlPorts(dir.value) : ok(ISTIO_PORTS);
    if (!control.ok) return control;
    const page = await openDashboardPort(dir.value, request.dashboardPort);
    if (!page.ok) return page;
    const { task } = request;
    const published = await openPublished(dir.value, task.kind === "up" ? task.published : []);
    if (!published.ok) return published;
    const config: InsideConfig = {
      dataDir: dir.value.root,
      ...mode.value,
      apiPort: port.value.port,
      dashboardPort: page.value.port,
      control: control.value,
      holderPid: process.pid,
      main: request.main,
      proxy: proxy.value,
      task: task.kind === "up" ? { ...task, published: published.value.map((each) => each.published) } : task,
    };
    return await run({
      dir: dir.value,
      lock: lock.value,
      config,
      port: port.value,
      page: page.value,
      published: published.value,
    });
  } finally {
    clearState(dir.value);
    lock.value.release();
  }
}

interface Prepared {
  readonly dir: DataDir;
  readonly lock: Lock;
  readonly config: InsideConfig;
  readonly port: OpenPort;
  readonly page: OpenPort;
  readonly published: readonly OpenPublished[];
}

async function run({ dir, lock, config, port, page, published }: Prepared): Promise<Result<number, ClusterError>> {
  const stopping = new AbortController();
  if (config.mode === "explicit") {
    const signals = onStopSignals(
      () => stopping.abort(),
      () => process.exit(1),
    );
    const watch = lock.onLost(() => {
      sayLost(dir);
      stopping.abort();
    });
    // They were only held so that nobody else takes the ports.
    for (const { server } of [page, ...published]) await new Promise((resolve) => server.close(resolve));
    const done = await runInside(config, { kind: "server", server: port.server }, stopping.signal);
    watch.stop();
    signals.stop();
    return done;
  }
  const names = await openUpstream();
  const launched = launchInNamespaces({
    argv: [process.execPath, config.main, INSIDE_COMMAND],
    env: { ...definedEnvironment(), [INSIDE_VARIABLE]: writeConfig(config) },
    sockets: {
      [API_SOCKET]: port.server,
      [DASHBOARD_SOCKET]: page.server,
      ...publishedSockets(published),
      ...(names === undefined ? {} : { [DNS_SOCKET]: names }),
    },
  });
  if (!launched.ok) {
    return err({
      message: `the transparent mode could not be started: ${launched.error}`,
      next: 'Try "--intercept explicit".',
    });
  }
  const signals = onStopSignals(
    () => launched.value.signal("SIGTERM"),
    () => launched.value.signal("SIGKILL"),
  );
  const watch = lock.onLost(() => {
    sayLost(dir);
    launched.value.signal("SIGTERM");
  });
  const exit = await launched.value.exited;
  watch.stop();
  signals.stop();
  if (exit.kind === "exited") return ok(exit.code);
  await cleanLeftovers(dir);
  return err({ message: `the cluster was ended by ${exit.signal}`, next: `What it said is above, or in ${dir.log}.` });
}

function sayLost(dir: DataDir): void {
  console.error(`weft: ${dir.lock} is gone: the data directory was removed, so the cluster stops`);
}

/** Names that are not the mesh's are asked for in the machine's network; without it, pods know the mesh's alone. */
function openUpstream(): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    socket.once("error", () => resolve(undefined));
    socket.bind(0, () => resolve(socket));
  });
}

function definedEnvironment(): Readonly<Record<string, string>> {
  const entries = Object.entries(process.env);
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== undefined));
}
