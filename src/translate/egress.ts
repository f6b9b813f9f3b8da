// What calls to hosts that nobody registered get: on by address, on by name, or an end that says why.

import { formatRef, refOf } from "../model/finding.ts";
import type { ClientView } from "./view.ts";
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
