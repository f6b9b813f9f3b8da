// A remembered request in a person's words.

import type { RecentRequest } from "../../observe/recent-request.ts";
import type { ProxyPod } from "../mesh-access.ts";

/** `shop/frontend` of `spiffe://cluster.local/ns/shop/sa/frontend`; other identities as they are. */
function shortIdentity(identity: string): string {
  const match = /^(?:spiffe:\/\/)?[^/]+\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(identity);
  return match === null ? identity : `${match[1]}/${match[2]}`;
}

/** Who called: of an outbound request the pod itself. */
export function callerOf(pod: ProxyPod, { direction, source }: RecentRequest): string {
  if (direction === "outbound") return `${pod.namespace}/${pod.serviceAccount}`;
  return source.identity === "" ? source.address : shortIdentity(source.identity);
}

/** Who was called: a service where the cluster names one. */
export function calledOf(pod: ProxyPod, request: RecentRequest): string {
  if (request.direction === "inbound") return `${pod.namespace}/${pod.serviceAccount}`;
  const [, port, subset, host] = request.cluster.split("|");
  if (host === undefined || host === "") return request.authority || request.destination.address;
  const [name, namespace, svc] = host.split(".");
  const short = svc === "svc" ? `${namespace}/${name}` : host;
  return `${short}:${port}${subset === "" ? "" : ` (${subset})`}`;
}

/** `503 UF`, `0` where no answer came, `TCP`. */
export function codeText({ code, flags, protocol }: RecentRequest): string {
  const answer = protocol === "TCP" ? "TCP" : code === 0 ? "none" : String(code);
  return flags === "" ? answer : `${answer} ${flags}`;
}

export function isFailed({ code, flags, protocol }: RecentRequest): boolean {
  return code >= 400 || flags !== "" || (code === 0 && protocol !== "TCP");
}

export function durationText(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return ms >= 100 ? `${Math.round(ms)} ms` : `${ms.toFixed(1)} ms`;
}
