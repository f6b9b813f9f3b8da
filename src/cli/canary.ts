// `weft canary`: a new version gets its share step by step; start, watch, and steer it.

import { setTimeout as pause } from "node:timers/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseDurationMs } from "../api/istio/rules.ts";
import type { VirtualService } from "../api/istio/virtual-service.ts";
import { virtualServiceKind } from "../api/istio/virtual-service.ts";
import { apiVersionOf } from "../api/kind.ts";
import { type Canary, type CanarySpec, canaryKind } from "../api/weft/canary.ts";
import { isRecord } from "../base/json.ts";
import { DEFAULT_INTERVAL, DEFAULT_WEIGHTS, planOf, settingText } from "../canary/plan.ts";
import { subsetsOf } from "../canary/routes.ts";
import { type ClusterApi, openClusterApi, pathOf } from "./cluster-api.ts";
import { CommandFailure, examples } from "./command.ts";
import { dataDirOption } from "./data-dir.ts";
import { formatOption, paint, printStructured, readFormat, table } from "./output.ts";

const POLL_MS = 1_000;
/** Events of one Canary that `status` shows. */
const HISTORY_SHOWN = 12;

interface Common {
  readonly namespace: string;
  readonly dataDir: string;
}

interface StartOptions extends Common {
  readonly virtualService?: string;
  readonly stable?: string;
  readonly canary?: string;
  readonly steps: readonly number[];
  readonly interval: string;
  readonly header?: Readonly<Record<string, { readonly exact: string }>>;
  readonly mirror?: number;
  readonly minRequests?: number;
  readonly maxFailures?: number;
  readonly maxLatency?: number;
  readonly watch?: true;
}

export function define(command: Command): void {
  command.exitOverride();
  defineStart(command);
  defineStatus(command);
  const ask = (name: string, summary: string, body: (options: { readonly all?: true }) => unknown): Command =>
    place(command.command(`${name} <service>`).summary(summary).description(`${summary}.`)).action(
      async (service: string, options: Common & { readonly all?: true }) => {
        const api = openClusterApi(options.dataDir);
        await patch(api, options.namespace, service, body(options));
        console.log(`canary/${service}: asked to ${name}`);
      },
    );
  ask("promote", "go to the next step now, without judging this one", ({ all }) =>
    request(all === true ? "promoteAll" : "promote"),
  ).option("--all", "give it all requests at once, and be done");
  ask("pause", "stay at this step until it is resumed", () => ({ paused: true }));
  ask("resume", "go on after a pause, with this step from its beginning", () => ({
    paused: false,
    ...request("resume"),
  }));
  ask("abort", "send all requests to the stable version again", () => request("abort"));
  examples(command, [
    "weft canary start api -n production",
    "weft canary start api -n production --steps 5,20,100 --interval 2m --min-requests 200 --watch",
    "weft canary start api -n production --header x-canary=yes",
    "weft canary status api -n production --watch",
    "weft canary promote api -n production",
    "weft canary abort api -n production",
  ]);
}

function place(command: Command): Command {
  return command.option("-n, --namespace <namespace>", "of the service", "default").addOption(dataDirOption());
}

function defineStart(command: Command): void {
  const start = command.command("start <service>").summary("begin to send requests to a new version");
  place(start)
    .description(
      "Begins to send requests to a new version: a Canary of the service's name, which edits the weights of the service's VirtualService.",
    )
    .option("--virtual-service <name>", "the one that is edited (default: the one whose hosts name the service)")
    .option(
      "--stable <subset>",
      "the version that serves now (default: by the VirtualService, the one with more weight)",
    )
    .option("--canary <subset>", "the new version (default: the other one)")
    .addOption(
      new Option("--steps <weights>", "shares in per cent")
        .argParser(weights)
        .default(DEFAULT_WEIGHTS, DEFAULT_WEIGHTS.join(",")),
    )
    .option("--interval <duration>", "how long each step is watched", DEFAULT_INTERVAL)
    .option("--header <name=value>", "first only requests that carry this header", header)
    .option("--mirror <percent>", "first a copy of so many requests, whose answers nobody sees", whole)
    .option("--min-requests <count>", "fewer tell nothing (default: 50)", whole)
    .option(
      "--max-failures <percent>",
      "how many more of a hundred may fail than of the stable version (default: 1)",
      Number,
    )
    .option("--max-latency <percent>", "how much slower it may be at the 90th percentile (default: 50)", Number)
    .option("-w, --watch", "follow it to its end")
    .action(async (service: string, options: StartOptions) => {
      if (parseDurationMs(options.interval) === undefined) {
        throw new CommandFailure(`--interval ${options.interval} is no duration`, {
          next: "Write 30s or 5m.",
          exitCode: 2,
        });
      }
      const api = openClusterApi(options.dataDir);
      await begin(api, service, options);
      if (options.watch === true) await follow(api, service, options.namespace);
    });
}

function defineStatus(command: Command): void {
  const status = command.command("status [service]").summary("show how rollouts go");
  place(status)
    .description("Shows how rollouts go: of one service with its history, else of all in the namespace.")
    .option("-A, --all-namespaces", "of every namespace")
    .option("-w, --watch", "follow one to its end")
    .addOption(formatOption())
    .action(
      async (
        service: string | undefined,
        options: Common & { readonly watch?: true; readonly allNamespaces?: true; readonly output?: unknown },
      ) => {
        const api = openClusterApi(options.dataDir);
        const format = readFormat(options.output);
        if (service === undefined) {
          const namespace = options.allNamespaces === true ? undefined : options.namespace;
          const all = await list(api, namespace);
          if (format === "table") printAll(all);
          else await printStructured(all, format);
          return;
        }
        if (options.watch === true) return follow(api, service, options.namespace);
        const canary = await read(api, service, options.namespace);
        if (format === "table") printOne(canary);
        else await printStructured(canary, format);
      },
    );
}

async function begin(api: ClusterApi, service: string, options: StartOptions): Promise<void> {
  const { namespace } = options;
  const virtual = await findVirtualService(api, service, options);
  const pair = subsetsOf(virtual);
  const [stable, canary] = [options.stable ?? pair?.stable, options.canary ?? pair?.canary];
  if (stable === undefined || canary === undefined) {
    throw new CommandFailure(`VirtualService ${virtual.metadata.name} has no route with two subsets`, {
      next: "Add a destination for the new version with weight 0, or name both with --stable and --canary.",
    });
  }
  const spec: CanarySpec = {
    ...(virtual.metadata.name === service ? {} : { virtualService: virtual.metadata.name }),
    stable,
    canary,
    interval: options.interval,
    steps: [
      ...(options.header === undefined ? [] : [{ headers: { ...options.header } }]),
      ...(options.mirror === undefined ? [] : [{ mirror: options.mirror }]),
      ...options.steps.map((weight) => ({ weight })),
    ],
    ...analysisOf(options),
    paused: false,
  };
  const known = (await list(api, namespace)).find(({ metadata }) => metadata.name === service);
  const phase = known?.status?.phase;
  if (known !== undefined && phase !== "Succeeded" && phase !== "Aborted") {
    throw new CommandFailure(`a rollout of ${service} is under way: ${phase ?? "it has just begun"}`, {
      next: `See "weft canary status ${service} -n ${namespace}".`,
    });
  }
  if (known === undefined) {
    const object: Canary = {
      apiVersion: apiVersionOf(canaryKind),
      kind: canaryKind.kind,
      metadata: { name: service, namespace },
      spec,
    };
    await api.ask({ method: "POST", path: pathOf(canaryKind, namespace), body: object });
  } else await patch(api, namespace, service, { analysis: null, ...spec, ...request("restart") });
  const steps = planOf(spec).steps.map(({ setting }) => settingText(setting));
  console.log(`canary/${service} started: ${stable} → ${canary} by ${steps.join(", ")} every ${options.interval}`);
}

function analysisOf({ minRequests, maxFailures, maxLatency }: StartOptions): Pick<CanarySpec, "analysis"> {
  if (minRequests === undefined && maxFailures === undefined && maxLatency === undefined) return {};
  return {
    analysis: {
      ...(minRequests === undefined ? {} : { minRequests }),
      ...(maxFailures === undefined ? {} : { maxFailureIncrease: maxFailures }),
      ...(maxLatency === undefined ? {} : { latency: { maxIncreasePercent: maxLatency } }),
    },
  };
}

async function findVirtualService(api: ClusterApi, service: string, options: StartOptions): Promise<VirtualService> {
  const { namespace, virtualService } = options;
  const answer = await api.ask({ method: "GET", path: pathOf(virtualServiceKind, namespace) });
  const all = itemsOf(answer, isVirtualService);
  const hosts = [service, `${service}.${namespace}`, `${service}.${namespace}.svc.cluster.local`];
  const found = all.filter(({ metadata, spec }) =>
    virtualService === undefined
      ? (spec.hosts ?? []).some((host) => hosts.includes(host)) && spec.http !== undefined
      : metadata.name === virtualService,
  );
  const [first, ...more] = found;
  if (first !== undefined && more.length === 0) return first;
  if (first === undefined) {
    throw new CommandFailure(`no VirtualService in ${namespace} routes HTTP for ${service}`, {
      next: "A Canary edits the weights of one: see docs/canary.md for what it has to say.",
    });
  }
  throw new CommandFailure(`more than one: ${found.map(({ metadata }) => metadata.name).join(", ")}`, {
    next: "Name it with --virtual-service.",
  });
}

function request(action: NonNullable<CanarySpec["request"]>["action"]): Pick<CanarySpec, "request"> {
  return { request: { id: new Date().toISOString(), action } };
}

async function patch(api: ClusterApi, namespace: string, service: string, spec: unknown): Promise<void> {
  await api.ask({
    method: "PATCH",
    path: pathOf(canaryKind, namespace, service),
    body: { spec },
    contentType: "application/merge-patch+json",
  });
}

async function read(api: ClusterApi, service: string, namespace: string): Promise<Canary> {
  const object = await api.ask({ method: "GET", path: pathOf(canaryKind, namespace, service) });
  if (isCanary(object)) return object;
  throw new CommandFailure(`the API's answer is no Canary`);
}

async function list(api: ClusterApi, namespace: string | undefined): Promise<readonly Canary[]> {
  return itemsOf(await api.ask({ method: "GET", path: pathOf(canaryKind, namespace) }), isCanary);
}

function itemsOf<T>(answer: unknown, is: (item: unknown) => item is T): readonly T[] {
  const items: readonly unknown[] = isRecord(answer) && Array.isArray(answer["items"]) ? answer["items"] : [];
  return items.filter(is);
}

/** The API has checked what it holds. */
function isCanary(object: unknown): object is Canary {
  return isRecord(object) && object["kind"] === canaryKind.kind && isRecord(object["spec"]);
}

function isVirtualService(object: unknown): object is VirtualService {
  return isRecord(object) && object["kind"] === virtualServiceKind.kind && isRecord(object["spec"]);
}

/** One line for each thing that happens, and at its end whether it went well. */
async function follow(api: ClusterApi, service: string, namespace: string): Promise<void> {
  let told = 0;
  let last = "";
  for (;;) {
    const canary = await read(api, service, namespace);
    const { phase, history = [], message = "" } = canary.status ?? {};
    const fresh = history.filter(({ at }) => Date.parse(at) > told);
    for (const { at, event, message: text } of fresh) console.log(`${at.slice(11, 19)}  ${event.padEnd(12)} ${text}`);
    told = Math.max(told, ...history.map(({ at }) => Date.parse(at)));
    const now = `${phase ?? "Waiting"}: ${message}${measuredText(canary)}`;
    if (fresh.length === 0 && now !== last) console.log(`          ${now}`);
    last = now;
    if (phase === "Succeeded") return;
    if (phase === "Aborted") throw new CommandFailure(`the rollout of ${service} was given up: ${message}`);
    await pause(POLL_MS);
  }
}

function measuredText({ status }: Canary): string {
  const { canary, stable } = status ?? {};
  if (canary === undefined) return "";
  const text = ({ requests, failurePercent, latencyMs }: NonNullable<typeof canary>): string =>
    `${requests} requests, ${failurePercent} % failed${latencyMs === undefined ? "" : `, ${latencyMs} ms`}`;
  return ` (canary ${text(canary)}${stable === undefined ? "" : `; stable ${text(stable)}`})`;
}

function printAll(canaries: readonly Canary[]): void {
  if (canaries.length === 0) {
    console.log('No rollouts here. "weft canary start SERVICE" begins one.');
    return;
  }
  const rows = canaries.map(({ metadata, status }) => {
    const { phase = "Waiting", step, steps, weight = 0, message = "" } = status ?? {};
    const at = step === undefined ? "" : `${step + 1}/${steps ?? "?"}`;
    return [metadata.namespace ?? "default", metadata.name, phase, at, `${weight} %`, message];
  });
  console.log(table(["NAMESPACE", "NAME", "PHASE", "STEP", "WEIGHT", "MESSAGE"], rows));
}

function printOne(canary: Canary): void {
  const { metadata, spec, status } = canary;
  const { phase = "Waiting", step, message = "", history = [] } = status ?? {};
  const colour = phase === "Succeeded" ? "green" : phase === "Aborted" || phase === "RollingBack" ? "red" : "yellow";
  console.log(`${metadata.name}.${metadata.namespace}: ${spec.stable} → ${spec.canary}   ${paint(colour, phase)}`);
  if (message !== "") console.log(`${message}${measuredText(canary)}`);
  const steps = planOf(spec).steps.map(({ setting }, index) => {
    const text = settingText(setting);
    return index === step && phase !== "Succeeded" ? paint("bold", `[${text}]`) : text;
  });
  console.log(`steps: ${steps.join(" → ")}`);
  if (history.length === 0) return;
  const rows = history.slice(-HISTORY_SHOWN).map((entry) => [entry.at.slice(0, 19), entry.event, entry.message]);
  console.log(`\n${table(["TIME", "EVENT", "MESSAGE"], rows)}`);
}

function weights(text: string): readonly number[] {
  const all = text.split(",").map((part) => whole(part.trim().replace(/%$/, "")));
  if (all.some((weight, index) => weight > 100 || weight < (all[index - 1] ?? 0))) {
    throw new InvalidArgumentError("shares go up, to 100 at most: 10,25,50,100");
  }
  return all;
}

function whole(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError(`${text} is no whole number`);
  return Number(text);
}

function header(text: string): Record<string, { exact: string }> {
  const at = text.indexOf("=");
  if (at <= 0) throw new InvalidArgumentError("write it as NAME=VALUE");
  return { [text.slice(0, at).toLowerCase()]: { exact: text.slice(at + 1) } };
}
