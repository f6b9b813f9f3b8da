// `weft up`: the local cluster, in the foreground or, with -d, behind.

import { resolve } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { istioKinds } from "../api/istio/kinds.ts";
import { kubernetesKinds } from "../api/kubernetes/kinds.ts";
import { makeRegistry } from "../api/registry.ts";
import { type DataDir, openDataDir } from "../cluster/data-dir.ts";
import { startDetached } from "../cluster/detach.ts";
import { runningHolder } from "../cluster/lock.ts";
import { describeFinding, readManifests } from "../cluster/manifests.ts";
import type { Intercept } from "../cluster/mode.ts";
import { type PublishedPort, parsePublished, writePublished } from "../cluster/publish.ts";
import { startCluster } from "../cluster/start.ts";
import { quote } from "../node/transparent/script.ts";
import { CommandFailure, examples } from "./command.ts";
import { asFailure, dataDirOption } from "./data-dir.ts";
import { collect } from "./files.ts";

interface UpOptions {
  readonly detach?: boolean;
  readonly filename: readonly string[];
  readonly dataDir: string;
  readonly intercept: Intercept;
  readonly apiPort?: number;
  readonly dashboardPort?: number;
  readonly publish: readonly PublishedPort[];
  readonly proxy: "weft" | "envoy";
  readonly envoy?: string;
}

export function define(command: Command): void {
  command
    .description(
      "Starts a Kubernetes-compatible cluster on this machine, with the mesh in it. kubectl works with it: see the examples.",
    )
    .option("-d, --detach", "return when it is ready, and leave it running")
    .option("-f, --filename <file>", "file or folder to apply at start (may be repeated)", collect, [])
    .addOption(dataDirOption())
    .addOption(interceptOption())
    .addOption(publishOption())
    .addOption(proxyOption())
    .option("--envoy <path>", 'Envoy\'s binary (default: WEFT_ENVOY, else "envoy" on the PATH)')
    .option("--api-port <port>", "port of the API on 127.0.0.1 (default: a free one, kept from then on)", readPort)
    .option(
      "--dashboard-port <port>",
      "port of the page on 127.0.0.1 (default: a free one, kept from then on)",
      readPort,
    )
    .action(up);
  examples(command, [
    "weft up -d",
    'export KUBECONFIG="$(weft kubeconfig)"; kubectl get nodes',
    "weft up -f manifests/ --data-dir /tmp/mesh",
    "weft up --intercept explicit --api-port 6443",
    "weft up --proxy envoy",
    "weft up -f examples/gateway --publish 8080:edge/ingress:80",
  ]);
}

function publishOption(): Option {
  const flags = "--publish <[host-port:][namespace/]service:port>";
  return new Option(flags, "opens a service's port on 127.0.0.1 (may be repeated); without a host port on a free one")
    .argParser((text: string, before: readonly PublishedPort[]) => {
      const parsed = parsePublished(text);
      if (!parsed.ok) throw new InvalidArgumentError(parsed.error);
      return [...before, parsed.value];
    })
    .default([], "none");
}

function proxyOption(): Option {
  return new Option("--proxy <proxy>", "what the sidecars run: weft's own proxy, or Envoy with weft agent beside it")
    .choices(["weft", "envoy"])
    .default("weft");
}

export function interceptOption(): Option {
  return new Option("--intercept <mode>", "how sidecars get the traffic: auto takes the first mode that works here")
    .choices(["auto", "transparent", "explicit"])
    .default("auto");
}

async function up(options: UpOptions): Promise<void> {
  const dir = openDataDir(options.dataDir);
  if (!dir.ok) throw asFailure(dir.error);
  refuseSecond(dir.value);
  checkFiles(options.filename);
  const main = resolve(process.argv[1] ?? "");
  const files = options.filename.map((file) => resolve(file));
  if (options.detach === true) {
    await upDetached(dir.value, main, options);
    return;
  }
  const done = await startCluster({
    dataDir: options.dataDir,
    apiPort: options.apiPort,
    dashboardPort: options.dashboardPort,
    intercept: options.intercept,
    main,
    proxy: { kind: options.proxy, envoy: options.envoy },
    task: { kind: "up", files, published: options.publish },
  });
  if (!done.ok) throw asFailure(done.error);
  // Everything that was started has ended; what a library still holds open must not keep the process.
  process.exit(done.value);
}

async function upDetached(dir: DataDir, main: string, options: UpOptions): Promise<void> {
  const argv = [
    main,
    "up",
    "--data-dir",
    dir.root,
    "--intercept",
    options.intercept,
    "--proxy",
    options.proxy,
    ...(options.envoy === undefined ? [] : ["--envoy", options.envoy]),
    ...options.filename.flatMap((file) => ["-f", file]),
    ...options.publish.flatMap((each) => ["--publish", writePublished(each)]),
    ...(options.apiPort === undefined ? [] : ["--api-port", String(options.apiPort)]),
    ...(options.dashboardPort === undefined ? [] : ["--dashboard-port", String(options.dashboardPort)]),
  ];
  const state = await startDetached(dir, argv);
  if (!state.ok) throw asFailure(state.error);
  console.log(`weft is up: process ${state.value.pid}, ${state.value.mode} mode`);
  console.log(`  ${state.value.modeReason}`);
  console.log(`export KUBECONFIG=${quote(dir.kubeconfig)}`);
}

function refuseSecond(dir: DataDir): void {
  const holder = runningHolder(dir);
  if (holder === undefined) return;
  throw new CommandFailure(`a cluster already runs on ${dir.root}, process ${holder.pid}`, {
    next: `Use it ("weft status"), stop it ("weft down --data-dir ${dir.root}"), or name another --data-dir.`,
  });
}

/** Before anything starts, so that a mistake in a file costs nothing. */
function checkFiles(files: readonly string[]): void {
  if (files.includes("-")) {
    throw new CommandFailure('"-f -" is not for weft up', { next: "Name a file or folder.", exitCode: 2 });
  }
  const checked = readManifests(files, makeRegistry([...kubernetesKinds, ...istioKinds]));
  if (!checked.ok) throw new CommandFailure(checked.error, { next: "Name an existing file or folder with -f." });
  const wrong = checked.value.findings.filter((finding) => finding.issue.severity === "error");
  if (wrong.length === 0) return;
  throw new CommandFailure(wrong.map(describeFinding).join("\n      "), { next: "Nothing was started." });
}

function readPort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new InvalidArgumentError("a port from 1 to 65535 is expected");
}
