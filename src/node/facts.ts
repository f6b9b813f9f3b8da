// What a pod may know about itself: the downward API's fields and resources.

import type { Container } from "../api/kubernetes/container.ts";
import type { Pod } from "../api/kubernetes/pod.ts";
import { err, ok, type Result } from "../base/result.ts";
import { parseQuantity } from "./quantity.ts";

export interface PodFacts {
  readonly pod: Pod;
  readonly podIP: string;
  readonly nodeIP: string;
  readonly capacity: { readonly cpu: number; readonly memoryBytes: number };
}

export function fieldOf(path: string, facts: PodFacts): Result<string, string> {
  const { metadata, spec } = facts.pod;
  const member = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (member !== null) {
    const map = member[1] === "labels" ? metadata.labels : metadata.annotations;
    return ok(map?.[member[2] ?? ""] ?? "");
  }
  const values: Readonly<Record<string, string | undefined>> = {
    "metadata.name": metadata.name,
    "metadata.namespace": metadata.namespace ?? "default",
    "metadata.uid": metadata.uid ?? "",
    "metadata.labels": asLines(metadata.labels),
    "metadata.annotations": asLines(metadata.annotations),
    "spec.nodeName": spec.nodeName ?? "",
    "spec.serviceAccountName": spec.serviceAccountName ?? "default",
    "status.podIP": facts.podIP,
    "status.podIPs": facts.podIP,
    "status.hostIP": facts.nodeIP,
    "status.hostIPs": facts.nodeIP,
  };
  const value = values[path];
  return value === undefined ? err(`fieldRef: "${path}" is not a field that a pod can ask for`) : ok(value);
}

export function resourceOf(
  reference: { readonly resource: string; readonly divisor?: string | undefined },
  container: Container,
  capacity: PodFacts["capacity"],
): Result<string, string> {
  const [group, name] = splitResource(reference.resource);
  const own = group === "limits" ? container.resources?.limits : container.resources?.requests;
  const whole = name === "cpu" ? capacity.cpu : name === "memory" ? capacity.memoryBytes : 0;
  const fallback = group === "limits" ? whole : 0;
  const amount = parseQuantity(own?.[name]) ?? fallback;
  const divisor = parseQuantity(reference.divisor ?? "1") ?? 1;
  if (group !== "limits" && group !== "requests")
    return err(`resourceFieldRef: unknown resource "${reference.resource}"`);
  return ok(String(Math.ceil(amount / (divisor === 0 ? 1 : divisor))));
}

function splitResource(resource: string): readonly [string, string] {
  const dot = resource.indexOf(".");
  return dot < 0 ? [resource, ""] : [resource.slice(0, dot), resource.slice(dot + 1)];
}

/** Kubernetes' form in files: one `key="value"` a line, sorted, values quoted. */
function asLines(map: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join("\n");
}
