// The Istio kinds that weft serves.

import { eraseKind, type Kind } from "../kind.ts";
import { authorizationPolicyKind } from "./authorization-policy.ts";
import { destinationRuleKind } from "./destination-rule.ts";
import { peerAuthenticationKind } from "./peer-authentication.ts";
import { telemetryKind } from "./telemetry.ts";
import { virtualServiceKind } from "./virtual-service.ts";

export const istioKinds: readonly Kind[] = [
  eraseKind(virtualServiceKind),
  eraseKind(destinationRuleKind),
  eraseKind(peerAuthenticationKind),
  eraseKind(authorizationPolicyKind),
  eraseKind(telemetryKind),
];
