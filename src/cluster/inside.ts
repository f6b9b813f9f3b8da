// A cluster's life where its parts run: compose, do the task, stop everything.

import { err, ok, type Result } from "../base/result.ts";
import { quote } from "../node/transparent/script.ts";
import { applyManifest } from "./apply.ts";
import { compose } from "./compose.ts";
import { dataDirAt } from "./data-dir.ts";
import { type DemoOptions, type DemoReport, installShop, judgeShop, showShop } from "./demo/run.ts";
import type { ClusterError } from "./failure.ts";
import { STOP_TIMEOUT_MS } from "./limits.ts";
import { describeFinding, readManifests } from "./manifests.ts";
import { servePublished } from "./publish.ts";
import type { RunningCluster } from "./running.ts";
import { type ClusterState, writeState } from "./state.ts";
import type { ApiSocket, InsideConfig, Task } from "./task.ts";

/** Ends when the task does, or when told to stop; the value is the exit code. */
export async function runInside(
  config: InsideConfig,
  socket: ApiSocket,
  stopping: AbortSignal,
): Promise<Result<number, ClusterError>> {
  const dir = dataDirAt(config.dataDir);
  const composed = await compose(config, socket);
  if (!composed.ok) return composed;
  const cluster = composed.value;
  const state: ClusterState = {
    pid: config.holderPid,
    mode: config.mode,
    modeReason: config.modeReason,
    api: cluster.api,
    nodeIP: cluster.nodeIP,
    dashboard: cluster.dashboard,
    startedAt: new Date().toISOString(),
    phase: "starting",
  };
  writeState(dir, state);
  try {
    const ready = (): void => writeState(dir, { ...state, phase: "ready" });
    return await doTask(cluster, config.task, { ready, stopping });
  } finally {
    await stopInTime(cluster);
  }
}

interface Moments {
  readonly ready: () => void;
  readonly stopping: AbortSignal;
}

async function doTask(cluster: RunningCluster, task: Task, moments: Moments): Promise<Result<number, ClusterError>> {
  if (task.kind === "up") return runUp(cluster, task, moments);
  const options: DemoOptions = { ...task, stopping: moments.stopping };
  const say = (text: string): void => (task.format === "table" ? console.log(text) : console.error(text));
  say(`weft: ${cluster.mode} mode: ${cluster.modeReason}`);
  const installed = await installShop(cluster, options);
  if (!installed.ok) return installed;
  moments.ready();
  if (!task.once) {
    await showShop(cluster, options);
    return ok(0);
  }
  const report = await judgeShop(cluster, options);
  await printReport(report, task.format);
  return ok(report.passed ? 0 : 1);
}

async function runUp(
  cluster: RunningCluster,
  { files, published }: Extract<Task, { kind: "up" }>,
  moments: Moments,
): Promise<Result<number, ClusterError>> {
  const applied = await applyFiles(cluster, files);
  if (!applied.ok) return applied;
  moments.ready();
  console.log(`weft is up: ${cluster.mode} mode: ${cluster.modeReason}`);
  console.log(`export KUBECONFIG=${quote(cluster.dir.kubeconfig)}`);
  const unpublish = servePublished(cluster, published);
  await aborted(moments.stopping);
  unpublish();
  console.log("weft stops");
  return ok(0);
}

async function applyFiles(cluster: RunningCluster, files: readonly string[]): Promise<Result<void, ClusterError>> {
  const next = "Correct the file and start again; what was applied before it stays.";
  const read = readManifests(files, cluster.kinds);
  if (!read.ok) return err({ message: read.error, next });
  for (const finding of read.value.findings) {
    if (finding.issue.severity === "error") return err({ message: describeFinding(finding), next });
    console.log(`Warning: ${describeFinding(finding)}`);
  }
  for (const manifest of read.value.manifests) {
    const applied = await applyManifest(cluster.client, manifest);
    if (!applied.ok) return err({ message: `${manifest.file}:${manifest.line}: ${applied.error.message}`, next });
    console.log(`${manifest.kind.singular}/${manifest.object.metadata.name} ${applied.value}`);
  }
  return ok(undefined);
}

async function printReport(report: DemoReport, format: "table" | "json" | "yaml"): Promise<void> {
  if (format === "json") {
    console.log(JSON.stringify(report, null, 2));
    return;
  }
  if (format === "yaml") {
    const { stringify } = await import("yaml");
    process.stdout.write(stringify(report, { lineWidth: 0 }));
    return;
  }
  for (const check of report.checks) console.log(`${check.passed ? "ok  " : "FAIL"} ${check.name}: ${check.detail}`);
  const first = report.firstAnswerMs === null ? "never" : `after ${(report.firstAnswerMs / 1_000).toFixed(1)} s`;
  console.log(`first answer through two sidecars: ${first}`);
  console.log(report.passed ? "everything holds" : "not everything holds");
}

/** Whatever a pod does, the cluster ends: what is left then ends with its process or by the next start. */
async function stopInTime(cluster: RunningCluster): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<"late">();
  const timer = setTimeout(() => resolve("late"), STOP_TIMEOUT_MS);
  const outcome = await Promise.race([cluster.stop().then(() => "stopped" as const), late]);
  clearTimeout(timer);
  if (outcome === "late") console.error(`weft: something did not stop within ${STOP_TIMEOUT_MS / 1_000} s`);
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
