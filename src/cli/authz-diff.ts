// `weft authz diff`: which of the last requests would be answered otherwise, were some policies applied.

import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { type AuthzChange, type AuthzDiff, diffCalls, type SeenCall } from "../analyze/authz-diff.ts";
import { buildWorld, type World } from "../analyze/world.ts";
import type { KubeObject } from "../api/object.ts";
import { isRecord, parseJson } from "../base/json.ts";
import { formatRef, refOf } from "../model/finding.ts";
import { defaultMeshConfig } from "../model/mesh-config.ts";
import { readCluster } from "./cluster-objects.ts";
import { CommandFailure, examples } from "./command.ts";
import { dataDirOption } from "./data-dir.ts";
import { collect } from "./files.ts";
import { readObjects } from "./manifest-objects.ts";
import { MeshAccess } from "./mesh-access.ts";
import { formatOption, paint, printStructured, readFormat } from "./output.ts";
import { collectRequests } from "./requests/collect.ts";
import { callOf, isRefused } from "./requests/judge.ts";

interface Options {
  readonly filename: string[];
  readonly base: string[];
  readonly log?: string;
  readonly namespace: string;
  readonly dataDir: string;
  readonly output?: string;
}

export function defineDiff(parent: Command): void {
  const command = parent
    .command("diff")
    .summary("say which of the last requests would be answered otherwise under new policies")
    .description(
      "Asks the policies as they are, and as they would be with the given manifests on top, about the requests that the proxies remember, or about those of an access log in JSON. Exit code 0: no answer would change; 1: some would.",
    )
    .requiredOption("-f, --filename <file>", "the new policies: file or folder (may be repeated)", collect, [])
    .option("--base <file>", "manifests instead of what the local cluster has (may be repeated)", collect, [])
    .option("--log <file>", "lines of an access log in JSON instead of what the proxies remember")
    .option("-n, --namespace <namespace>", "of manifests that name none", "default")
    .addOption(dataDirOption())
    .addOption(formatOption())
    .action(diff);
  examples(command, [
    "weft authz diff -f new-policies/",
    "weft authz diff -f deny-admin.yaml --log access.json -o json",
    "weft authz diff -f new/ --base running.yaml --log access.json    # no cluster is asked",
  ]);
}

async function diff(options: Options): Promise<void> {
  if (options.filename.length === 0) {
    throw new CommandFailure("which policies are new is not said", { next: "Name them by -f.", exitCode: 2 });
  }
  const { namespace, dataDir } = options;
  const running = options.base.length > 0 ? readObjects(options.base, namespace) : await readCluster(dataDir);
  const fresh = readObjects(options.filename, namespace);
  const before = buildWorld(running, defaultMeshConfig);
  const after = buildWorld(onTop(running, fresh), defaultMeshConfig);
  const calls = options.log === undefined ? await remembered(dataDir) : readLog(options.log, before);
  const found = diffCalls(before, after, calls);
  const format = readFormat(options.output);
  if (format === "table") console.log(diffText(found, calls.length));
  else await printStructured(found, format);
  if (found.changes.length > 0) process.exitCode = 1;
}

/** What is changed is as old as it was. */
function onTop(running: readonly KubeObject[], fresh: readonly KubeObject[]): readonly KubeObject[] {
  const key = (object: KubeObject): string => formatRef(refOf(object));
  const known = new Map(running.map((object) => [key(object), object]));
  const replaced = new Set(fresh.map(key));
  const dated = fresh.map((object) => {
    const created = known.get(key(object))?.metadata.creationTimestamp;
    return created === undefined ? object : { ...object, metadata: { ...object.metadata, creationTimestamp: created } };
  });
  return [...running.filter((object) => !replaced.has(key(object))), ...dated];
}

async function remembered(dataDir: string): Promise<readonly SeenCall[]> {
  const mesh = new MeshAccess(dataDir);
  const query = new URLSearchParams({ limit: "100000" });
  const { seen, silent } = await collectRequests(mesh, await mesh.proxies(), () => query);
  for (const { pod, why } of silent) console.error(`${pod.namespace}/${pod.name}: ${why}`);
  return seen
    .filter(({ request }) => request.direction === "inbound")
    .map((each) => ({
      namespace: each.pod.namespace,
      pod: each.pod.name,
      call: callOf(each.request),
      refused: isRefused(each),
    }));
}

/** Lines that are no JSON, or tell of no request to a pod that is known, are passed over. */
function readLog(file: string, world: World): readonly SeenCall[] {
  const pods = podsByAddress(world);
  return readText(file)
    .split("\n")
    .flatMap((line): readonly SeenCall[] => {
      const parsed = parseJson(line.slice(Math.max(line.indexOf("{"), 0)));
      return parsed.ok && isRecord(parsed.value) ? callOfLine(parsed.value, pods) : [];
    });
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new CommandFailure(`cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`, {
      exitCode: 2,
    });
  }
}

interface KnownPod {
  readonly namespace: string;
  readonly name: string;
  readonly principal: string | undefined;
}

function podsByAddress({ snapshot }: World): ReadonlyMap<string, KnownPod> {
  const found = new Map<string, KnownPod>();
  for (const { metadata, spec, status } of snapshot.resources.pods.values()) {
    const { name, namespace = "default", labels } = metadata;
    const hasSidecar = labels?.["security.istio.io/tlsMode"] === "istio";
    const account = spec?.serviceAccountName ?? "default";
    const principal = `${snapshot.mesh.trustDomain}/ns/${namespace}/sa/${account}`;
    if (status?.podIP !== undefined)
      found.set(status.podIP, { namespace, name, principal: hasSidecar ? principal : undefined });
  }
  return found;
}

/** By the names of Istio's JSON format, and whatever of a certificate a format adds. */
function callOfLine(line: Readonly<Record<string, unknown>>, pods: ReadonlyMap<string, KnownPod>): readonly SeenCall[] {
  const text = (...names: readonly string[]): string | undefined => names.flatMap((name) => textOf(line[name])).at(0);
  const local = splitAddress(text("downstream_local_address"));
  const remote = splitAddress(text("downstream_remote_address"));
  const pod = pods.get(local.ip);
  if (pod === undefined) return [];
  const told = text("source_principal", "downstream_peer_uri_san")?.replace(/^spiffe:\/\//, "");
  const path = text("path") ?? "/";
  const method = text("method");
  return [
    {
      namespace: pod.namespace,
      pod: pod.name,
      refused: text("response_code_details")?.startsWith("rbac_access_denied") === true,
      call: {
        protocol: method === undefined ? "tcp" : "http",
        principal: told ?? pods.get(remote.ip)?.principal,
        sourceIp: remote.ip,
        remoteIp: remote.ip,
        destinationIp: local.ip,
        port: local.port,
        serverName: text("requested_server_name"),
        method: method ?? "",
        path: path.split("?")[0] ?? path,
        host: text("authority") ?? "",
        headers: {},
        claims: undefined,
      },
    },
  ];
}

function textOf(value: unknown): readonly string[] {
  return typeof value === "string" && value !== "" && value !== "-" ? [value] : [];
}

function splitAddress(address = ""): { readonly ip: string; readonly port: number } {
  const colon = address.lastIndexOf(":");
  return { ip: address.slice(0, Math.max(colon, 0)).replace(/^\[|\]$/g, ""), port: Number(address.slice(colon + 1)) };
}

function diffText({ changes, same, unsure, lost }: AuthzDiff, total: number): string {
  const changed = total - same - unsure - lost;
  const lines = changes.map(changeText);
  lines.push(`${changed} of ${total} requests would be answered otherwise, ${same} as today`);
  if (unsure > 0) lines.push(`${unsure} can't be judged: rules ask for headers or tokens of theirs, which nobody kept`);
  if (lost > 0) lines.push(`${lost} came to pods that are gone`);
  return lines.join("\n");
}

function changeText({ from, to, port, method, path, before, after, reason, times }: AuthzChange): string {
  const turn = paint(after === "denied" ? "red" : "green", `${before} → ${after}`);
  const what = method === "" ? "a connection" : `${method} ${path}`;
  return `${turn}  ${what}  from ${from || "outside the mesh"} to ${to}:${port}  (${times} times)\n  ${reason}`;
}
