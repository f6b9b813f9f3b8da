// Whether a pod gets a sidecar, and why.

import { INJECT_KEY } from "./options.ts";
import { type Json, recordAt, stringsAt } from "./shape.ts";

export interface Decision {
  readonly inject: boolean;
  /** One clause for a person: `namespace label istio-injection=enabled`. */
  readonly reason: string;
}

/** Namespaces of Kubernetes' own parts: a proxy there could stop the cluster itself. */
const SYSTEM_NAMESPACES: ReadonlySet<string> = new Set(["kube-system", "kube-public", "kube-node-lease"]);

const TRUE_WORDS: ReadonlySet<string> = new Set(["true", "yes", "on", "y", "1", "enabled"]);
const FALSE_WORDS: ReadonlySet<string> = new Set(["false", "no", "off", "n", "0", "disabled"]);

/** In a cluster: a label that says no wins over one that says yes; without any, no sidecar. */
export function decideInjection(
  pod: Json,
  namespace: { readonly name: string; readonly labels: Readonly<Record<string, string>> },
): Decision {
  const refusal = refusalOf(pod, namespace.name);
  if (refusal !== undefined) return { inject: false, reason: refusal };
  const namespaceLabel = namespace.labels["istio-injection"];
  if (namespaceLabel === "disabled") return { inject: false, reason: "namespace label istio-injection=disabled" };
  const own = ownWish(pod);
  if (own !== undefined) return own;
  if (namespaceLabel === "enabled") return { inject: true, reason: "namespace label istio-injection=enabled" };
  const revision = namespace.labels["istio.io/rev"];
  if (namespaceLabel === undefined && (revision === "default" || revision === "weft")) {
    return { inject: true, reason: `namespace label istio.io/rev=${revision}` };
  }
  return { inject: false, reason: "neither the namespace nor the pod asks for it" };
}

/** Offline, the command itself asks for it: only what can never work and the pod's own wish speak against. */
export function decideOffline(pod: Json, namespace: string): Decision {
  const refusal = refusalOf(pod, namespace);
  if (refusal !== undefined) return { inject: false, reason: refusal };
  return ownWish(pod) ?? { inject: true, reason: "asked for on the command line" };
}

function refusalOf(pod: Json, namespace: string): string | undefined {
  if (SYSTEM_NAMESPACES.has(namespace)) return `namespace ${namespace} belongs to Kubernetes`;
  if (recordAt(pod, "spec")["hostNetwork"] === true) return "spec.hostNetwork shares the node's network";
  return undefined;
}

function ownWish(pod: Json): Decision | undefined {
  const metadata = recordAt(pod, "metadata");
  for (const place of ["labels", "annotations"] as const) {
    const value = stringsAt(metadata, place)[INJECT_KEY];
    if (value === undefined) continue;
    const word = value.toLowerCase();
    const reason = `pod ${place === "labels" ? "label" : "annotation"} ${INJECT_KEY}=${value}`;
    if (TRUE_WORDS.has(word)) return { inject: true, reason };
    if (FALSE_WORDS.has(word)) return { inject: false, reason };
  }
  return undefined;
}
