// `weft explain`: what became of one request, from every proxy that it passed and from the control plane.

import { Argument, type Command } from "commander";
import { buildWorld } from "../analyze/world.ts";
import { isRecord } from "../base/json.ts";
import { defaultMeshConfig } from "../model/mesh-config.ts";
import { readCluster } from "./cluster-objects.ts";
import { CommandFailure, examples } from "./command.ts";
import { dataDirOption } from "./data-dir.ts";
import { textAt } from "./dump/dump.ts";
import { collect } from "./files.ts";
import { MeshAccess, type ProxyPod } from "./mesh-access.ts";
import { formatOption, printStructured, readFormat } from "./output.ts";
import { type Collected, collectRequests, type SeenRequest } from "./requests/collect.ts";
import { explanationText, failingPath, type Hop } from "./requests/explanation.ts";
import { inOrder, isTo } from "./requests/hops.ts";
import { isRefused, judge } from "./requests/judge.ts";
import { makePlaces } from "./requests/place.ts";
import { isFailed } from "./requests/words.ts";

interface Options {
  readonly lastError?: string;
  readonly namespace: string;
  readonly filename: string[];
  readonly dataDir: string;
  readonly output?: string;
}

export function define(command: Command): void {
  command
    .description(
      "Puts together what the proxies and the control plane know of one request: its route, every try, the answer, and the resource behind it. Exit code 0: it was answered well; 1: it failed, or no proxy remembers it.",
    )
    .addArgument(new Argument("[request-id]", "the x-request-id, or the id of its trace"))
    .option("--last-error <service>", "the newest request to this service that failed: NAME, or NAME.NAMESPACE")
    .option("-n, --namespace <namespace>", "where the service is", "default")
    .option("-f, --filename <file>", "manifests to name lines of: file or folder (may be repeated)", collect, [])
    .addOption(dataDirOption())
    .addOption(formatOption())
    .action(explain);
  examples(command, [
    "weft explain 7b9d62e3-bff0-930d-8dd1-431b22f6b70e",
    "weft explain --last-error api -n shop -f manifests/",
    "weft explain --last-error api.shop -o json",
  ]);
}

async function explain(id: string | undefined, options: Options): Promise<void> {
  if ((id === undefined) === (options.lastError === undefined)) {
    throw new CommandFailure("which request is not said", {
      next: "Give its x-request-id, or --last-error SERVICE.",
      exitCode: 2,
    });
  }
  const mesh = new MeshAccess(options.dataDir);
  const proxies = await mesh.proxies();
  const found = id === undefined ? await lastError(mesh, proxies, options) : await byId(mesh, proxies, id);
  const hops = await describe(mesh, inOrder(found.seen), options);
  const format = readFormat(options.output);
  if (format === "table") console.log(await explanationText(hops));
  else await printStructured({ hops: hops.map(plain), notAsked: found.silent }, format);
  if (format === "table")
    for (const { pod, why } of found.silent) console.error(`${pod.namespace}/${pod.name}: ${why}`);
  const first = hops[0]?.seen.request;
  if (first === undefined || isFailed(first)) process.exitCode = 1;
}

async function byId(mesh: MeshAccess, proxies: readonly ProxyPod[], id: string): Promise<Collected> {
  const found = await collectRequests(mesh, proxies, () => new URLSearchParams({ id }));
  if (found.seen.length > 0) return found;
  const last = proxies.length === 0 ? "There is no proxy at all." : LOST;
  throw new CommandFailure(`none of ${proxies.length} proxies remembers a request ${id}`, { next: last });
}

const LOST =
  "A proxy keeps its last few hundred requests, failures longer. Name a newer one (the answer's x-request-id, or weft logs SERVICE --requests), or look in the access log.";

/** Of the service's own proxies, and of those that called it. */
async function lastError(mesh: MeshAccess, proxies: readonly ProxyPod[], options: Options): Promise<Collected> {
  const text = options.lastError ?? "";
  const [name = "", namespace = options.namespace] = text.replace(/^(svc|service)\//, "").split(".");
  const own = await mesh.findPods(`svc/${name}`, namespace);
  const isOwn = (pod: ProxyPod): boolean =>
    own.some((each) => each.namespace === pod.namespace && each.name === pod.name);
  const failed = await collectRequests(mesh, proxies, () => new URLSearchParams({ failed: "true", limit: "1000" }));
  const newest = failed.seen.findLast(({ pod, request }) =>
    request.direction === "inbound" ? isOwn(pod) : isTo(request.cluster, `${name}.${namespace}`),
  );
  if (newest === undefined) {
    throw new CommandFailure(`no proxy remembers a failed request to ${name}.${namespace}`, {
      next: own.length === 0 ? "No pod is behind such a service." : "All went well since its proxies started.",
    });
  }
  const id = newest.request.requestId;
  return id === "" ? { ...failed, seen: [newest] } : byId(mesh, proxies, id);
}

async function describe(mesh: MeshAccess, seen: readonly SeenRequest[], options: Options): Promise<readonly Hop[]> {
  const objects = await readCluster(options.dataDir);
  const world = buildWorld(objects, defaultMeshConfig);
  const places = makePlaces(options.filename, objects);
  const states = await configurationOf(mesh);
  return seen.map((each) => {
    const authorization = isRefused(each) ? judge(world, each) : undefined;
    const rules = (authorization?.policies ?? []).flatMap((policy) =>
      policy.rules.flatMap((rule) => places.find(`${policy.resource} ${failingPath(rule)}`) ?? []),
    );
    return {
      seen: each,
      rule: places.find(each.request.rule),
      cause: places.find(each.request.cause),
      authorization,
      rules,
      configuration: states.get(`${each.pod.name}.${each.pod.namespace}`) ?? "it is not connected to the control plane",
    };
  });
}

const TYPES = ["cds", "lds", "eds", "rds"] as const;

/** By proxy, what is not as it was sent. */
async function configurationOf(mesh: MeshAccess): Promise<ReadonlyMap<string, string>> {
  const page = await mesh.controlPage("/debug/syncz");
  return new Map(
    (Array.isArray(page) ? page.filter(isRecord) : []).map((each) => {
      const wrong = TYPES.flatMap((type) => {
        const about = isRecord(each[type]) ? each[type] : {};
        const state = textAt(about, "state");
        const refusal = textAt(about, "refusal");
        if (refusal !== "") return [`it refused ${type.toUpperCase()}: ${refusal}`];
        return state === "STALE" ? [`it has not taken the newest ${type.toUpperCase()} yet`] : [];
      });
      return [textAt(each, "proxy"), wrong.join("; ")];
    }),
  );
}

function plain({ seen, ...about }: Hop): unknown {
  return { pod: seen.pod.name, namespace: seen.pod.namespace, request: seen.request, ...about };
}
