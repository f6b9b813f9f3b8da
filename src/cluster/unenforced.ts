// What the explicit mode only keeps, said to whoever makes one.

import { networkPolicyKind } from "../api/kubernetes/network-policy.ts";
import type { AdmissionPlugin } from "../apiserver/admission.ts";

const NOTE =
  "a NetworkPolicy is not enforced in the explicit mode, where pods share one network: use an AuthorizationPolicy, or the transparent mode";

export const unenforcedPolicies: AdmissionPlugin = {
  name: "unenforced-network-policies",
  admit: async ({ kind, object, operation }) => {
    const concerns = kind.kind === networkPolicyKind.kind && kind.group === networkPolicyKind.group;
    return { kind: "allowed", object, warnings: concerns && operation === "create" ? [NOTE] : [] };
  },
};
