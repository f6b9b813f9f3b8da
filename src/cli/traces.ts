// `weft traces`: what the local cluster's trace store has.

import { Argument, type Command } from "commander";
import { readTrace, readTraces } from "../traces/read-trace.ts";
import type { TraceSummary } from "../traces/trace.ts";
import { CommandFailure, examples } from "./command.ts";
import { dataDirOption } from "./data-dir.ts";
import { MeshAccess } from "./mesh-access.ts";
import { formatOption, printStructured, readFormat, table } from "./output.ts";
import { readDuration } from "./requests/filter.ts";
import { waterfall } from "./requests/waterfall.ts";
import { durationText } from "./requests/words.ts";

interface ListOptions {
  readonly namespace?: string;
  readonly operation?: string;
  readonly slow?: string;
  readonly errors?: true;
  readonly since?: string;
  readonly limit: string;
  readonly dataDir: string;
  readonly output?: string;
}

const PATH = "/debug/traces";

export function define(command: Command): void {
  command
    .exitOverride()
    .addArgument(new Argument("[service]", "traces with a span of it: NAME, or NAME.NAMESPACE"))
    .option("-n, --namespace <namespace>", "where the service is; without it, any of that name")
    .option("--operation <name>", "with a span of this name")
    .option("--slow <duration>", "with a span that took as long or longer: 200ms, 1.5s")
    .option("--errors", "with a span that failed")
    .option("--since <duration>", "that began within the last: 5m, 1h")
    .option("--limit <count>", "at most so many, the newest first", "20")
    .addOption(dataDirOption())
    .addOption(formatOption())
    .action(printList);
  const get = command
    .command("get <id>")
    .summary("show one trace as a tree")
    .description("Shows a trace's spans below their parents, and when each ran. Exit code 1: there is no such trace.")
    .addOption(dataDirOption())
    .addOption(formatOption())
    .action(printTrace);
  examples(command, [
    "weft traces",
    "weft traces api.shop --slow 200ms --errors",
    "weft traces --since 5m -o json",
    "weft traces get 4df93cb892772772344705dfb63f39e7",
  ]);
  examples(get, ["weft traces get 4df93cb892772772344705dfb63f39e7"]);
}

async function printList(service: string | undefined, options: ListOptions): Promise<void> {
  const query = new URLSearchParams({ limit: String(readLimit(options.limit)) });
  const plain = service?.replace(/^(svc|service|deploy|deployment)\//, "");
  if (plain !== undefined)
    query.set("service", options.namespace === undefined ? plain : `${plain}.${options.namespace}`);
  if (options.operation !== undefined) query.set("operation", options.operation);
  if (options.slow !== undefined) query.set("minDurationMs", String(readDuration(options.slow, "--slow")));
  if (options.errors === true) query.set("error", "true");
  if (options.since !== undefined)
    query.set("since", String(Math.round(Date.now() - readDuration(options.since, "--since"))));
  const page = await new MeshAccess(options.dataDir).controlPage(`${PATH}?${query}`);
  const traces = readTraces(page);
  if (traces === undefined) throw new CommandFailure("the control plane answered something else than traces");
  const format = readFormat(options.output);
  if (format !== "table") await printStructured(page, format);
  else if (traces.length > 0) console.log(table(HEADER, traces.map(cells)));
  else console.log("No such trace. Is tracing on? A Telemetry with the provider jaeger turns it on.");
}

const HEADER = ["STARTED", "TOOK", "SPANS", "FAILED", "SERVICE", "OPERATION", "TRACE"];

function cells({ startUs, durationUs, spans, errors, service, operation, traceId }: TraceSummary): readonly string[] {
  const started = new Date(startUs / 1000).toISOString().replace("T", " ").slice(0, 23);
  const failed = errors === 0 ? "-" : String(errors);
  return [started, durationText(durationUs / 1000), String(spans), failed, service, operation, traceId];
}

function readLimit(text: string): number {
  const limit = Number(text);
  if (Number.isInteger(limit) && limit > 0) return limit;
  throw new CommandFailure(`--limit ${text} is no number`, { exitCode: 2 });
}

async function printTrace(id: string, options: { readonly dataDir: string; readonly output?: string }): Promise<void> {
  const page = await new MeshAccess(options.dataDir).controlPage(`${PATH}/${encodeURIComponent(id)}`);
  const trace = readTrace(page);
  if (trace === undefined) throw new CommandFailure("the control plane answered something else than a trace");
  const format = readFormat(options.output);
  if (format === "table") console.log(waterfall(trace));
  else await printStructured(page, format);
}
