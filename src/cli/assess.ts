// `weft assess`: whether an application needs a mesh, from its manifests or from a cluster.

import { type Command, InvalidArgumentError, Option } from "commander";
import { istioKinds } from "../api/istio/kinds.ts";
import { apiVersionOf } from "../api/kind.ts";
import { kubernetesKinds } from "../api/kubernetes/kinds.ts";
import type { KubeObject } from "../api/object.ts";
import { makeRegistry } from "../api/registry.ts";
import { type Assessment, assess, type Said, STATED_COST } from "../assess/assess.ts";
import { factsOf } from "../assess/facts.ts";
import { markdownReport, textReport } from "../assess/report.ts";
import { isRecord } from "../base/json.ts";
import { readManifests } from "../cluster/manifests.ts";
import { askApi, readCredentials } from "../cluster/remote.ts";
import { CommandFailure, examples } from "./command.ts";
import { dataDirOption, existingDataDir } from "./data-dir.ts";
import { paint, printStructured } from "./output.ts";

const QUESTIONS = ["kubernetes", "upgrades", "debugging", "latency", "budget"] as const;
/** Of a cluster: what says something of an application, in the versions that are served most. */
const READ: readonly { readonly path: string; readonly kind: string; readonly apiVersion: string }[] = [
  ...["Service", "Pod", "ConfigMap", "Deployment", "StatefulSet", "DaemonSet", "NetworkPolicy"].flatMap(served),
  ...["VirtualService", "DestinationRule", "PeerAuthentication", "AuthorizationPolicy", "Telemetry"].flatMap(served),
  foreign("argoproj.io/v1alpha1", "rollouts", "Rollout"),
  foreign("monitoring.coreos.com/v1", "servicemonitors", "ServiceMonitor"),
  foreign("monitoring.coreos.com/v1", "podmonitors", "PodMonitor"),
  foreign("monitoring.coreos.com/v1", "prometheusrules", "PrometheusRule"),
  foreign("opentelemetry.io/v1alpha1", "instrumentations", "Instrumentation"),
];

interface Options {
  readonly filename?: readonly string[];
  readonly kubeconfig?: string;
  readonly say: Said;
  readonly measure?: true;
  readonly output: "text" | "markdown" | "json";
  readonly dataDir: string;
}

export function define(command: Command): void {
  command
    .option("-f, --filename <path...>", "manifests: files or folders (default: the local cluster)")
    .option("--kubeconfig <file>", "another cluster, which is only read")
    .addOption(
      new Option("--say <question=yes|no>", `what manifests don't tell: ${QUESTIONS.join(", ")}; can be repeated`)
        .argParser(say)
        .default({}, "nothing"),
    )
    .option("--measure", "measure what sidecars cost on this machine (about 15 s)")
    .addOption(
      new Option("-o, --output <format>", "how to print")
        .choices(["text", "markdown", "json"])
        .default("text" as const),
    )
    .addOption(dataDirOption())
    .action(async (options: Options) => {
      const objects = options.filename === undefined ? await readLive(options) : readFiles(options.filename);
      const facts = factsOf(objects);
      if (facts.workloads.length === 0) {
        throw new CommandFailure("there is no workload in what was read", { next: "Name manifests with -f." });
      }
      const cost = options.measure === true ? await (await import("./assess/measure.ts")).measureCost() : STATED_COST;
      const assessment = assess(facts, options.say, cost);
      if (options.output === "json") await printStructured(assessment, "json");
      else if (options.output === "markdown") process.stdout.write(markdownReport(assessment));
      else process.stdout.write(textReport(assessment, coloured));
    });
  examples(command, [
    "weft assess -f manifests/",
    "weft assess -f manifests/ --say kubernetes=yes --say debugging=no --measure",
    "weft assess --kubeconfig ~/.kube/config -o markdown > mesh.md",
    "weft assess -f manifests/ -o json | jq -r .verdict",
  ]);
}

function coloured(verdict: Assessment["verdict"]): string {
  return paint(verdict === "yes" ? "green" : verdict === "no" ? "red" : "yellow", verdict);
}

function say(text: string, before: Said): Said {
  const [key = "", answer = ""] = text.split("=");
  const question = QUESTIONS.find((each) => each === key);
  if (question === undefined || !/^(yes|no)$/.test(answer)) {
    throw new InvalidArgumentError(`write one of ${QUESTIONS.map((each) => `${each}=yes`).join(", ")}, or =no`);
  }
  return { ...before, [question]: answer === "yes" };
}

/** Mistakes in manifests are another command's matter: what can be read counts. */
function readFiles(paths: readonly string[]): readonly KubeObject[] {
  const checked = readManifests(paths, makeRegistry([...kubernetesKinds, ...istioKinds]));
  if (!checked.ok) throw new CommandFailure(checked.error, { next: "Name an existing file or folder with -f." });
  const { manifests, others } = checked.value;
  return [...manifests.map(({ object, source }) => ({ ...source, ...object })), ...others];
}

async function readLive(options: Options): Promise<readonly KubeObject[]> {
  const path = options.kubeconfig ?? existingDataDir(options.dataDir).kubeconfig;
  const credentials = readCredentials(path);
  if (!credentials.ok) {
    throw new CommandFailure(`cannot read ${path}: ${credentials.error}`, {
      next: "Name manifests with -f, or a cluster with --kubeconfig.",
    });
  }
  const lists = await Promise.all(
    READ.map(async ({ path: at, kind, apiVersion }) => {
      const answer = await askApi(credentials.value, { method: "GET", path: at });
      if (!answer.ok) throw new CommandFailure(`the API does not answer: ${answer.error}`);
      // What isn't installed, or may not be read, is as good as absent.
      const items = isRecord(answer.value.body) ? answer.value.body["items"] : undefined;
      const list: readonly unknown[] = Array.isArray(items) ? items : [];
      return list.flatMap((item) => named(item, kind, apiVersion));
    }),
  );
  return lists.flat();
}

function named(item: unknown, kind: string, apiVersion: string): readonly KubeObject[] {
  if (!isRecord(item) || !isRecord(item["metadata"])) return [];
  const { metadata } = item;
  return [{ ...item, apiVersion, kind, metadata: { ...metadata, name: String(metadata["name"] ?? "") } }];
}

function served(name: string) {
  const kind = [...kubernetesKinds, ...istioKinds].find((each) => each.kind === name);
  if (kind === undefined) return [];
  const apiVersion = apiVersionOf(kind);
  return [{ path: `${kind.group === "" ? "/api" : "/apis"}/${apiVersion}/${kind.plural}`, kind: name, apiVersion }];
}

function foreign(apiVersion: string, plural: string, kind: string) {
  return { path: `/apis/${apiVersion}/${plural}`, kind, apiVersion };
}
