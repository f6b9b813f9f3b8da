// Every built-in kind of the local cluster.

import type { Kind } from "../kind.ts";
import { configMapKind } from "./config-map.ts";
import { deploymentKind } from "./deployment.ts";
import { endpointSliceKind } from "./endpoint-slice.ts";
import { eventKind } from "./event.ts";
import { eventsV1Kind } from "./events-v1.ts";
import { leaseKind } from "./lease.ts";
import { namespaceKind } from "./namespace.ts";
import { nodeKind } from "./node.ts";
import { podKind } from "./pod.ts";
import { replicaSetKind } from "./replica-set.ts";
import { secretKind } from "./secret.ts";
import { serviceKind } from "./service.ts";
import { serviceAccountKind } from "./service-account.ts";

export const kubernetesKinds: readonly Kind[] = [
  namespaceKind,
  nodeKind,
  podKind,
  serviceKind,
  serviceAccountKind,
  configMapKind,
  secretKind,
  eventKind,
  eventsV1Kind,
  deploymentKind,
  replicaSetKind,
  endpointSliceKind,
  leaseKind,
];
