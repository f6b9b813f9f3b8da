// `weft logs TARGET --requests`: what passes the proxies of a service, as it passes them.

import { setTimeout as sleep } from "node:timers/promises";
import { CommandFailure } from "../command.ts";
import type { MeshAccess, ProxyPod } from "../mesh-access.ts";
import { paint } from "../output.ts";
import { type Collected, collectRequests, type SeenRequest } from "./collect.ts";
import { type FilterOptions, requestFilter } from "./filter.ts";
import { calledOf, callerOf, codeText, durationText, isFailed } from "./words.ts";

export interface FollowOptions extends FilterOptions {
  readonly namespace: string;
  readonly follow?: true;
  readonly tail?: string;
  readonly output?: string;
}

const LOOK_MS = 500;
const SHOWN = 20;
/** Of one proxy at one look: all that it keeps. */
const ASKED = 10_000;

export async function followRequests(mesh: MeshAccess, target: string, options: FollowOptions): Promise<void> {
  const wanted = requestFilter(options);
  const tail = Number(options.tail ?? SHOWN);
  const places = new Map<string, Place>();
  const isJson = options.output === "json";
  if (!isJson) console.log(paint("bold", line(HEADER)));
  for (let first = true; ; first = false) {
    const pods = await podsOf(mesh, target, options.namespace);
    const collected = await collectRequests(mesh, pods, (pod) => queryOf(places.get(keyOf(pod))));
    if (first) sayWhoIsSilent(collected);
    const fresh = remember(places, collected.seen).filter(wanted);
    const shown = first ? fresh.slice(Math.max(0, fresh.length - tail)) : fresh;
    for (const seen of shown) console.log(isJson ? JSON.stringify(plain(seen)) : rowText(seen));
    if (options.follow !== true) {
      if (collected.passedOver > 0)
        console.error(`${collected.passedOver} requests came too fast to be remembered: an access log has all`);
      return;
    }
    await sleep(LOOK_MS);
  }
}

/** Up to where a proxy's requests were seen. */
interface Place {
  readonly sinceMs: number;
  /** Those of that very millisecond. */
  readonly keys: ReadonlySet<string>;
}

function keyOf({ namespace, name }: ProxyPod): string {
  return `${namespace}/${name}`;
}

function queryOf(place: Place | undefined): URLSearchParams {
  return new URLSearchParams({ limit: String(ASKED), since: String(place?.sinceMs ?? 0) });
}

/** Those that were not seen before. */
function remember(places: Map<string, Place>, seen: readonly SeenRequest[]): readonly SeenRequest[] {
  const fresh = seen.filter(({ pod, request }) => places.get(keyOf(pod))?.keys.has(request.key) !== true);
  for (const { pod, request } of seen) {
    const place = places.get(keyOf(pod));
    const isSame = place?.sinceMs === request.endTimeMs;
    places.set(keyOf(pod), {
      sinceMs: request.endTimeMs,
      keys: new Set([...(isSame ? place.keys : []), request.key]),
    });
  }
  return fresh;
}

/** A bare name is a service's before it is a pod's. */
async function podsOf(mesh: MeshAccess, target: string, namespace: string): Promise<readonly ProxyPod[]> {
  const named = target.includes("/")
    ? await mesh.findPods(target, namespace)
    : [...(await mesh.findPods(`svc/${target}`, namespace)), ...(await mesh.findPods(target, namespace))];
  const names = new Set(named.map((pod) => `${pod.namespace}/${pod.name}`));
  const proxies = (await mesh.proxies()).filter((pod) => names.has(keyOf(pod)));
  if (proxies.length > 0) return proxies;
  const what = names.size === 0 ? `there is no pod of ${target} in ${namespace}` : `no pod of ${target} has a sidecar`;
  throw new CommandFailure(what, { next: "Name a service, deploy/NAME or a pod, with its namespace (-n)." });
}

function sayWhoIsSilent({ silent }: Collected): void {
  for (const { pod, why } of silent) console.error(`${pod.namespace}/${pod.name}: ${why}`);
}

function plain({ pod, request }: SeenRequest): unknown {
  return { pod: pod.name, namespace: pod.namespace, ...request };
}

const HEADER = ["TIME (UTC)", "POD", "", "PEER", "CODE", "TOOK", "REQUEST", "ID"];
/** A line at a time, so that columns can't wait for what comes. */
const WIDTHS = [12, 26, 3, 26, 8, 9, 36];

function line(cells: readonly string[]): string {
  return cells
    .map((cell, i) => cell.padEnd(WIDTHS[i] ?? 0))
    .join(" ")
    .trimEnd();
}

function rowText({ pod, request }: SeenRequest): string {
  const isOut = request.direction === "outbound";
  const tries = request.tries > 1 ? ` (${request.tries} tries)` : "";
  const what = request.protocol === "TCP" ? `${request.bytesReceived} B in, ${request.bytesSent} B out` : "";
  const row = line([
    new Date(request.startTimeMs).toISOString().slice(11, 23),
    pod.name,
    isOut ? "→" : "←",
    isOut ? calledOf(pod, request) : callerOf(pod, request),
    codeText(request),
    durationText(request.durationMs),
    `${request.method} ${request.path}${tries}${what}`.trim(),
    request.requestId,
  ]);
  if (!isFailed(request)) return row;
  const why = request.cause || request.details;
  return `${paint("red", row)}${why === "" ? "" : `\n${" ".repeat(13)}${paint("dim", why)}`}`;
}
