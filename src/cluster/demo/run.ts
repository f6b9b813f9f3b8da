// The demo inside a running cluster: puts the shop in, watches it, shows it or judges it.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type VirtualService, virtualServiceKind } from "../../api/istio/virtual-service.ts";
import { err, ok, type Result } from "../../base/result.ts";
import { ImageTable, parseImages } from "../../node/images.ts";
import { applyManifest } from "../apply.ts";
import type { ClusterError } from "../failure.ts";
import { describeFinding, readManifests } from "../manifests.ts";
import type { RunningCluster } from "../running.ts";
import { type Check, runChecks } from "./checks.ts";
import { tryNext } from "./commands.ts";
import { CHECK_INTERVAL_MS, CHECK_TIMEOUT_MS, DRAW_INTERVAL_MS, LINE_INTERVAL_MS } from "./limits.ts";
import { Observer } from "./observe.ts";
import { inboundTarget, shownIdentity } from "./plaintext.ts";
import { Screen } from "./screen.ts";
import { NAMESPACE } from "./shop.ts";
import { drawView, summaryLine, type ViewFrame } from "./view.ts";

export interface DemoOptions {
  /** The folder `examples/shop`. */
  readonly examples: string;
  readonly weft: string;
  /** When the command was given, by the wall clock. */
  readonly startedMs: number;
  readonly stopping: AbortSignal;
}

export interface DemoReport {
  readonly passed: boolean;
  readonly mode: string;
  /** From the command to the first answer that crossed the mesh; null if there was none. */
  readonly firstAnswerMs: number | null;
  readonly checks: readonly { readonly name: string; readonly passed: boolean; readonly detail: string }[];
}

const PODS = 6;
const API_PORT = 8080;

export async function installShop(cluster: RunningCluster, options: DemoOptions): Promise<Result<void, ClusterError>> {
  const images = setImages(cluster, options.examples);
  if (!images.ok) return images;
  const next = "The files of examples/shop belong to weft: install it again.";
  const read = readManifests([join(options.examples, "kubernetes")], cluster.kinds);
  if (!read.ok) return err({ message: read.error, next });
  const wrong = read.value.findings.find((finding) => finding.issue.severity === "error");
  if (wrong !== undefined) return err({ message: describeFinding(wrong), next });
  for (const manifest of read.value.manifests) {
    const applied = await applyManifest(cluster.client, manifest);
    if (!applied.ok) return err({ message: `${manifest.file}:${manifest.line}: ${applied.error.message}`, next });
  }
  return ok(undefined);
}

/** Shows the shop until it is told to stop. */
export async function showShop(cluster: RunningCluster, options: DemoOptions): Promise<void> {
  const observer = new Observer(cluster);
  observer.start();
  const screen = process.stdout.isTTY ? new Screen(process.stdout) : undefined;
  const commands = tryNext(
    { ...options, mode: cluster.mode, kubeconfig: cluster.dir.kubeconfig, dataDir: cluster.dir.root },
    process.env,
  );
  const weights = watchWeight(cluster);
  const frame = (): ViewFrame => ({
    mode: cluster.mode,
    modeReason: cluster.modeReason,
    nowMs: Date.now(),
    startedMs: options.startedMs,
    wantedV1: weights.v1(),
    commands,
  });
  if (screen === undefined) for (const command of ["Try next, in another terminal:", ...commands]) console.log(command);
  let nextLineMs = 0;
  let announced = false;
  while (!options.stopping.aborted) {
    if (screen !== undefined) screen.draw(drawView(observer.figures, frame(), screen.paint));
    else {
      announced ||= announceFirst(observer, options);
      if (Date.now() >= nextLineMs) {
        console.log(summaryLine(observer.figures, frame()));
        nextLineMs = Date.now() + (announced ? LINE_INTERVAL_MS : LINE_INTERVAL_MS / 5);
      }
    }
    await sleep(DRAW_INTERVAL_MS, undefined, { signal: options.stopping }).catch(() => undefined);
  }
  screen?.close();
  weights.stop();
  observer.stop();
  console.log(summaryLine(observer.figures, frame()));
}

/** Waits until every check holds, one fails for good, or time is up. */
export async function judgeShop(cluster: RunningCluster, options: DemoOptions): Promise<DemoReport> {
  const observer = new Observer(cluster);
  observer.start();
  const deadline = Date.now() + CHECK_TIMEOUT_MS;
  let checks: readonly Check[] = [];
  while (!options.stopping.aborted) {
    const pod = observer.podOf("api");
    const shown = pod === undefined ? undefined : await shownIdentity(inboundTarget(cluster.mode, pod.ip, API_PORT));
    checks = runChecks({
      figures: observer.figures,
      podsWanted: PODS,
      apiIdentity: shown === undefined ? undefined : shown.ok ? { uri: shown.value } : { problem: shown.error },
      trustDomain: "cluster.local",
    });
    const verdicts = new Set(checks.map((check) => check.verdict));
    if (verdicts.has("fails") || !verdicts.has("waiting") || Date.now() > deadline) break;
    await sleep(CHECK_INTERVAL_MS);
  }
  observer.stop();
  const { firstAnswerMs } = observer.figures;
  return {
    passed: checks.length > 0 && checks.every((check) => check.verdict === "holds"),
    mode: cluster.mode,
    firstAnswerMs: firstAnswerMs === undefined ? null : firstAnswerMs - options.startedMs,
    checks: checks.map(({ name, verdict, detail }) => ({ name, passed: verdict === "holds", detail })),
  };
}

function announceFirst(observer: Observer, options: DemoOptions): boolean {
  const { firstAnswerMs } = observer.figures;
  if (firstAnswerMs === undefined) return false;
  const seconds = ((firstAnswerMs - options.startedMs) / 1_000).toFixed(1);
  console.log(`first answer through two sidecars after ${seconds} s`);
  return true;
}

function setImages(cluster: RunningCluster, examples: string): Result<void, ClusterError> {
  const file = join(examples, "images.yaml");
  const next = "The files of examples/shop belong to weft: install it again.";
  const parsed = parseImages(readFileSync(file, "utf8"));
  if (!parsed.ok) return err({ message: `${file}: ${parsed.error}`, next });
  const table = new ImageTable(cluster.dir.images);
  for (const [name, image] of parsed.value) {
    // The shop runs on the Node that weft runs on, whatever the machine has.
    const command = image.command.map((word, index) => (index === 0 && word === "node" ? process.execPath : word));
    const set = table.set(name, { command, args: image.args, workingDirectory: examples });
    if (!set.ok) return err({ message: set.error, next: "Make the data directory writable." });
  }
  return ok(undefined);
}

interface WatchedWeight {
  v1(): number | undefined;
  stop(): void;
}

/** The weight that the VirtualService gives v1 among everybody who is no beta user. */
function watchWeight(cluster: RunningCluster): WatchedWeight {
  let weight: number | undefined;
  const watch = cluster.client.watch<VirtualService>(virtualServiceKind, { namespace: NAMESPACE }, (event) => {
    if (event.type === "synced" || event.object.metadata.name !== "api") return;
    const routes = event.type === "deleted" ? [] : (event.object.spec.http?.at(-1)?.route ?? []);
    const v1 = routes.find((route) => route.destination.subset === "v1");
    weight = v1 === undefined ? undefined : (v1.weight ?? 100);
  });
  return { v1: () => weight, stop: () => watch.stop() };
}
