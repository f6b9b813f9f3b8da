// `weft proxy-status`, alias `ps`: whether each proxy runs what it was sent; of one, what differs.

import { Argument, type Command } from "commander";
import { isRecord, parseJson } from "../base/json.ts";
import { CommandFailure, examples } from "./command.ts";
import { dataDirOption } from "./data-dir.ts";
import { COMPARED_TYPES, compareDumps, type Difference } from "./dump/difference.ts";
import { type Dump, readDump, recordAt, textAt } from "./dump/dump.ts";
import { readInput } from "./files.ts";
import { MeshAccess } from "./mesh-access.ts";
import { formatOption, paint, printStructured, readFormat, table } from "./output.ts";

const TYPES = ["cds", "lds", "eds", "rds", "sds", "ecds", "nds"] as const;

interface Options {
  readonly namespace?: string;
  readonly file?: string;
  readonly dataDir: string;
  readonly output?: string;
}

export function define(command: Command): void {
  command
    .addArgument(new Argument("[pod]", "pod, POD.NAMESPACE or deploy/NAME: what it runs, compared with what was sent"))
    .option("-n, --namespace <namespace>", "only of this namespace")
    .option("-f, --file <file>", "with a pod: its config_dump from a file instead of its admin interface")
    .addOption(dataDirOption())
    .addOption(formatOption())
    .action(async (pod: string | undefined, options: Options) => {
      const mesh = new MeshAccess(options.dataDir);
      if (pod === undefined) await printList(mesh, options);
      else await printDifferences(mesh, pod, options);
    });
  examples(command, [
    "weft proxy-status",
    "weft ps -n shop -o json",
    "weft ps deploy/frontend.shop",
    "weft ps frontend-7d9-x1.shop -f config_dump.json",
  ]);
}

async function printList(mesh: MeshAccess, options: Options): Promise<void> {
  const page = await mesh.controlPage("/debug/syncz");
  const all = (Array.isArray(page) ? page.filter(isRecord) : []).filter(
    (each) => options.namespace === undefined || textAt(each, "proxy").endsWith(`.${options.namespace}`),
  );
  const proxies = all.toSorted((a, b) => (textAt(a, "proxy") < textAt(b, "proxy") ? -1 : 1));
  const format = readFormat(options.output);
  if (format !== "table") {
    await printStructured(proxies, format);
    return;
  }
  if (proxies.length === 0) {
    console.log("No proxies are connected.");
    return;
  }
  const rows = proxies.map((each) => [
    textAt(each, "proxy"),
    textAt(each, "cluster_id"),
    ...TYPES.map((type) => textAt(recordAt(each, type), "state")),
    textAt(each, "proxy_version"),
  ]);
  console.log(table(["NAME", "CLUSTER", ...TYPES.map((type) => type.toUpperCase()), "PROXY"], rows));
  for (const each of proxies) {
    for (const type of TYPES) {
      const refusal = textAt(recordAt(each, type), "refusal");
      if (refusal === "") continue;
      console.log(`\n${paint("red", `${textAt(each, "proxy")} refused ${type.toUpperCase()}`)}: ${refusal}`);
    }
  }
}

async function printDifferences(mesh: MeshAccess, text: string, options: Options): Promise<void> {
  const pod = await mesh.findPod(text, options.namespace);
  const id = `${pod.name}.${pod.namespace}`;
  const sent = dumpOf(await mesh.controlPage(`/debug/config_dump?proxyID=${id}`), "the control plane's config_dump");
  const running = dumpOf(
    options.file === undefined
      ? await mesh.adminJson(pod, "/config_dump?include_eds")
      : readJson(await readInput(options.file), options.file),
    options.file ?? `the config_dump of ${id}`,
  );
  const differences = compareDumps(sent, running);
  const format = readFormat(options.output);
  if (format === "table") for (const type of COMPARED_TYPES) printType(type, differences);
  else await printStructured({ proxy: id, differences }, format);
  if (differences.length > 0) process.exitCode = 1;
}

const SHOWN_MAX = 200;

function printType(type: string, differences: readonly Difference[]): void {
  const own = differences.filter((each) => each.type === type);
  console.log(own.length === 0 ? paint("green", `${type} match`) : paint("red", `${type} don't match`));
  for (const { name, path, sent, running } of own) {
    console.log(`  ${name}${path === "" ? "" : `: ${path}`}`);
    console.log(paint("red", `    - sent     ${shown(sent)}`));
    console.log(paint("green", `    + running  ${shown(running)}`));
  }
}

function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value);
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}

function dumpOf(value: unknown, what: string): Dump {
  const read = readDump(value);
  if (!read.ok) throw new CommandFailure(`${what}: ${read.error}`);
  return read.value;
}

function readJson(text: string, what: string): unknown {
  const parsed = parseJson(text);
  if (!parsed.ok) throw new CommandFailure(`${what} is not JSON: ${parsed.error}`);
  return parsed.value;
}
