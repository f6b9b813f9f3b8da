// What analysis wants to see of a cluster: what the mesh is made from, and what makes pods; of the rest there is nothing to say.

import type { ListOptions } from "../api/client.ts";
import { eraseKind, type Kind } from "../api/kind.ts";
import { kubernetesKinds } from "../api/kubernetes/kinds.ts";
import { networkPolicyKind } from "../api/kubernetes/network-policy.ts";
import { TEMPLATE_PATHS } from "../api/kubernetes/templates.ts";
import { resourceNames, SOURCES } from "../ingest/kinds.ts";

export const ANALYZED: readonly { readonly kind: Kind; readonly which: ListOptions }[] = [
  ...resourceNames().map((name) => ({ kind: eraseKind(SOURCES[name].kind), which: SOURCES[name].only?.watched ?? {} })),
  ...kubernetesKinds
    .filter(({ kind }) => kind !== "Pod" && TEMPLATE_PATHS[kind] !== undefined)
    .map((kind) => ({ kind, which: {} })),
  { kind: eraseKind(networkPolicyKind), which: {} },
];
