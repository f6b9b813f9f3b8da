// What the proxies of some pods remember of their requests, all asked at once.

import { type RecentRequest, readRecentRequests } from "../../observe/recent-request.ts";
import { CommandFailure } from "../command.ts";
import type { MeshAccess, PodName, ProxyPod } from "../mesh-access.ts";

export interface SeenRequest {
  readonly pod: ProxyPod;
  readonly request: RecentRequest;
}

export interface Collected {
  /** The oldest first. */
  readonly seen: readonly SeenRequest[];
  /** Proxies that could not be asked, each with the reason. */
  readonly silent: readonly { readonly pod: PodName; readonly why: string }[];
  /** Requests that the proxies had no room for. */
  readonly passedOver: number;
}

export async function collectRequests(
  mesh: MeshAccess,
  pods: readonly ProxyPod[],
  queryOf: (pod: ProxyPod) => URLSearchParams,
): Promise<Collected> {
  const answers = await Promise.all(pods.map((pod) => ask(mesh, pod, queryOf(pod))));
  const seen = answers.flatMap((answer) => ("requests" in answer ? answer.requests : []));
  return {
    seen: seen.toSorted((a, b) => a.request.endTimeMs - b.request.endTimeMs),
    silent: answers.flatMap((answer) => ("why" in answer ? [answer] : [])),
    passedOver: answers.reduce((sum, answer) => sum + ("passedOver" in answer ? answer.passedOver : 0), 0),
  };
}

type Asked =
  | { readonly requests: readonly SeenRequest[]; readonly passedOver: number }
  | { readonly pod: PodName; readonly why: string };

/** Envoy has no such page; a proxy that does not run yet does not answer at all. */
async function ask(mesh: MeshAccess, pod: ProxyPod, query: URLSearchParams): Promise<Asked> {
  try {
    const read = readRecentRequests(await mesh.adminJson(pod, `/weft/requests?${query}`));
    if (read === undefined) return { pod, why: "its proxy keeps no record of requests" };
    return { requests: read.requests.map((request) => ({ pod, request })), passedOver: read.passedOver };
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    const isEnvoy = error.message.includes("invalid path");
    return { pod, why: isEnvoy ? "its proxy is Envoy, which keeps no record of requests" : error.message };
  }
}
