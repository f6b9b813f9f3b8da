// What calls to hosts that nobody registered get: on by address, on by name, or an end that says why.

import { formatRef, refOf } from "../model/finding.ts";
import type { DeadEnd } from "./http-route.ts";
import { outboundName, PASSTHROUGH } from "./names.ts";
import { type ClientView, resolveFor } from "./view.ts";
import type { Cause } from "./wire.ts";

/** For `ALLOW_ANY_DYNAMIC_DNS`: a cluster of whatever names requests bring. */
export const NAMED_PASSTHROUGH = "PassthroughDynamicDnsCluster";

/** The setting that is in force for the view's clients. */
export function policySource({ sidecar }: Pick<ClientView, "sidecar">): Required<Pick<Cause, "resource" | "rule">> {
  if (sidecar?.spec?.outboundTrafficPolicy?.mode === undefined) {
    return { resource: "MeshConfig", rule: "outboundTrafficPolicy" };
  }
  return { resource: formatRef(refOf(sidecar)), rule: "spec.outboundTrafficPolicy" };
}

export interface EgressTarget {
  readonly cluster: string;
  readonly deadEnds: readonly DeadEnd[];
}

/** Where such calls go on to, where they may: to the Sidecar's egress proxy, else to where they were meant for. */
export function egressTarget(view: ClientView): EgressTarget {
  const { sidecar } = view;
  const proxy = sidecar?.spec?.outboundTrafficPolicy?.egressProxy;
  if (sidecar === undefined || proxy === undefined) {
    const byName = view.outboundTrafficPolicy === "ALLOW_ANY_DYNAMIC_DNS";
    return { cluster: byName ? NAMED_PASSTHROUGH : PASSTHROUGH, deadEnds: [] };
  }
  const { namespace = "default" } = sidecar.metadata;
  const found = resolveFor(view, proxy, { resourceNamespace: namespace, port: proxy.port?.number ?? 80 });
  const cluster = outboundName(found.port, found.subset, found.host);
  const resource = `${formatRef(refOf(sidecar))} spec.outboundTrafficPolicy.egressProxy`;
  const deadEnds = found.problem === undefined ? [] : [{ cluster, reason: found.problem.reason, resource }];
  return { cluster, deadEnds };
}

/** Whether calls to hosts that nobody registered go to a proxy that the Sidecar names. */
export function hasEgressProxy({ sidecar }: Pick<ClientView, "sidecar">): boolean {
  return sidecar?.spec?.outboundTrafficPolicy?.egressProxy !== undefined;
}
