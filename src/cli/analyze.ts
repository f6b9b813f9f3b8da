// `weft analyze`: what is wrong, silent or not as it seems in manifests, in the local cluster, or in both.

import { Argument, type Command, Option } from "commander";
import { analyze } from "../analyze/analyze.ts";
import { type Finding, finding, isAtLeast, type Severity } from "../analyze/finding.ts";
import { buildWorld } from "../analyze/world.ts";
import { istioKinds } from "../api/istio/kinds.ts";
import { kubernetesKinds } from "../api/kubernetes/kinds.ts";
import type { KubeObject } from "../api/object.ts";
import { makeRegistry } from "../api/registry.ts";
import { type CheckedManifests, isForeign, type Manifest, readManifests } from "../cluster/manifests.ts";
import { formatRef, refOf } from "../model/finding.ts";
import { defaultMeshConfig } from "../model/mesh-config.ts";
import { readCluster } from "./cluster-objects.ts";
import { CommandFailure, examples } from "./command.ts";
import { dataDirOption } from "./data-dir.ts";
import { collect } from "./files.ts";
import { describeFinding, type Placed } from "./finding-text.ts";
import { paint, printStructured } from "./output.ts";

const SEVERITIES = ["Error", "Warning", "Info"] as const;

interface Options {
  readonly filename: string[];
  readonly useCluster?: boolean;
  readonly namespace?: string;
  readonly dataDir: string;
  readonly severity: Severity;
  readonly failureThreshold: Severity;
  readonly output: "text" | "json" | "yaml";
}

export function define(command: Command): void {
  command
    .addArgument(new Argument("[files...]", "the same as -f"))
    .option("-f, --filename <file>", 'file or folder, "-" for standard input (may be repeated)', collect, [])
    .option("--use-cluster", "with files: as they would be on top of what the local cluster has")
    .option("-n, --namespace <namespace>", "only what concerns this namespace")
    .option("-A, --all-namespaces", "all namespaces, which is the default")
    .addOption(dataDirOption())
    .addOption(severityOption("--severity <level>", "leave out what is below this level", "Info"))
    .addOption(severityOption("--failure-threshold <level>", "exit with 1 from this level on", "Error"))
    .addOption(
      new Option("-o, --output <format>", "how to print").choices(["text", "json", "yaml"]).default("text" as const),
    )
    .action(async (files: string[], options: Options) => {
      const paths = [...options.filename, ...files];
      const found = await analyzed(paths, options);
      const shown = found.findings.filter(
        ({ severity, resource }) => isAtLeast(severity, options.severity) && concerns(resource, options.namespace),
      );
      if (options.output === "text") printText(shown, found.resources);
      else await printStructured({ resources: found.resources, findings: shown }, options.output);
      if (shown.some(({ severity }) => isAtLeast(severity, options.failureThreshold))) process.exitCode = 1;
    });
  examples(command, [
    "weft analyze -f manifests/",
    "weft analyze                                     # the local cluster",
    "weft analyze -f new-route.yaml --use-cluster     # before it is applied",
    "weft analyze -f manifests/ --failure-threshold Warning -o json",
  ]);
}

/** What has no namespace, or an unreadable one, concerns all. */
function concerns({ kind, namespace, name }: Finding["resource"], wanted: string | undefined): boolean {
  if (wanted === undefined) return true;
  return kind === "Namespace" ? name === wanted : namespace === "" || namespace === wanted;
}

function severityOption(flags: string, text: string, value: Severity): Option {
  return new Option(flags, text)
    .choices(SEVERITIES)
    .default(value)
    .argParser((text: string): Severity => {
      const known = SEVERITIES.find((each) => each.toLowerCase() === text.toLowerCase());
      if (known === undefined) throw new CommandFailure(`${text} is no severity`, SEVERITY_USAGE);
      return known;
    });
}

const SEVERITY_USAGE = { next: `Write one of ${SEVERITIES.join(", ")}.`, exitCode: 2 } as const;

async function analyzed(paths: readonly string[], options: Options): Promise<Analysis> {
  const checked = readFiles(paths);
  const isCluster = paths.length === 0 || options.useCluster === true;
  const running = isCluster ? await readCluster(options.dataDir) : [];
  return analyzeManifests(checked, running, options.namespace ?? "default");
}

interface Analysis {
  readonly findings: readonly Placed[];
  readonly resources: number;
}

/** Manifests as they would be on top of what runs; without manifests, what runs. */
export function analyzeManifests(
  checked: CheckedManifests,
  running: readonly KubeObject[],
  namespace = "default",
): Analysis {
  const before = new Map(running.map((object) => [keyOf(object), object]));
  const objects = checked.manifests.map(({ object, kind }) => {
    const home = kind.namespaced ? { namespace: object.metadata.namespace ?? namespace } : {};
    const whole = { ...object, metadata: { ...object.metadata, ...home } };
    // Who changes a resource doesn't make it younger.
    const created = before.get(keyOf(whole))?.metadata.creationTimestamp;
    return created === undefined ? whole : { ...whole, metadata: { ...whole.metadata, creationTimestamp: created } };
  });
  const places = new Map(objects.map((object, i) => [keyOf(object), checked.manifests[i]]));
  const kept = running.filter((each) => !places.has(keyOf(each)));
  const world = buildWorld([...kept, ...objects], defaultMeshConfig);
  const replaced = running.filter((each) => places.has(keyOf(each)));
  const isOnTop = objects.length > 0 && running.length > 0;
  // With files on top of a cluster, what was true before them is another question.
  const known = new Set(isOnTop ? analyze(buildWorld(running, defaultMeshConfig)).map(textOf) : []);
  const about = analyze(world, replaced).filter(
    (each) => places.has(formatRef(each.resource)) || !known.has(textOf(each)),
  );
  const placed = about.map((each) => place(each, places.get(formatRef(each.resource))));
  return { findings: [...refused(checked), ...placed], resources: world.objects.length };
}

function textOf({ code, resource, path, message }: Finding): string {
  return [code, formatRef(resource), path, message].join(" ");
}

function readFiles(paths: readonly string[]): CheckedManifests {
  if (paths.length === 0) return { manifests: [], findings: [], others: [] };
  const checked = readManifests(paths, makeRegistry([...kubernetesKinds, ...istioKinds]));
  if (!checked.ok) {
    throw new CommandFailure(checked.error, { next: "Name an existing file or folder with -f.", exitCode: 2 });
  }
  return checked.value;
}

/** What could not be read as a resource at all, and so took no part. */
function refused(checked: CheckedManifests): readonly Placed[] {
  return checked.findings.flatMap((each) => {
    const { resource, issue, file, line } = each;
    if (issue.severity !== "error") return [];
    const [kind = "", name = ""] = resource.split("/");
    const at = { resource: { kind, namespace: "", name }, path: issue.path };
    const message = issue.message === "" ? `is ${issue.reason === "required" ? "required" : "wrong"}` : issue.message;
    const made = isForeign(each)
      ? finding("WEFT0001", at, `${message}: it takes no part in the analysis`)
      : finding("IST0106", at, `Schema validation error: ${message}`, "Correct it; it took no part in the rest.");
    return [{ ...made, file, line }];
  });
}

function place(each: Finding, manifest: Manifest | undefined): Placed {
  return { ...each, file: manifest?.file, line: manifest?.lineAt(each.path) };
}

function keyOf(object: KubeObject): string {
  return formatRef(refOf(object));
}

function printText(findings: readonly Placed[], resources: number): void {
  for (const each of findings) console.log(`${describeFinding(each)}\n`);
  const counts = SEVERITIES.flatMap((severity) => {
    const count = findings.filter((each) => each.severity === severity).length;
    return count === 0 ? [] : `${count} ${severity.toLowerCase()}${count === 1 || severity === "Info" ? "" : "s"}`;
  });
  if (counts.length === 0) console.log(`${paint("green", "✔")} Nothing found in ${resources} resources.`);
  else console.log(`${counts.join(", ")} in ${resources} resources.`);
}
