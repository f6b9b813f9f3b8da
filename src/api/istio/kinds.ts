// The kinds of the mesh that weft serves: Istio's, and one of its own.

import { eraseKind, type Kind } from "../kind.ts";
import { canaryKind } from "../weft/canary.ts";
import { authorizationPolicyKind } from "./authorization-policy.ts";
import { destinationRuleKind } from "./destination-rule.ts";
import { gatewayKind } from "./gateway.ts";
import { peerAuthenticationKind } from "./peer-authentication.ts";
import { proxyConfigKind } from "./proxy-config.ts";
import { requestAuthenticationKind } from "./request-authentication.ts";
import { serviceEntryKind } from "./service-entry.ts";
import { sidecarKind } from "./sidecar.ts";
import { telemetryKind } from "./telemetry.ts";
import { virtualServiceKind } from "./virtual-service.ts";
import { workloadEntryKind } from "./workload-entry.ts";
import { workloadGroupKind } from "./workload-group.ts";

export const istioKinds: readonly Kind[] = [
  eraseKind(virtualServiceKind),
  eraseKind(destinationRuleKind),
  eraseKind(serviceEntryKind),
  eraseKind(workloadEntryKind),
  eraseKind(workloadGroupKind),
  eraseKind(sidecarKind),
  eraseKind(gatewayKind),
  eraseKind(proxyConfigKind),
  eraseKind(peerAuthenticationKind),
  eraseKind(authorizationPolicyKind),
  eraseKind(requestAuthenticationKind),
  eraseKind(telemetryKind),
  eraseKind(canaryKind),
];
