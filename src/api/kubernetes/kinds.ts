// Every built-in kind of the local cluster.

import type { Kind } from "../kind.ts";
import { configMapKind } from "./config-map.ts";
import { controllerRevisionKind } from "./controller-revision.ts";
import { cronJobKind } from "./cron-job.ts";
import { customResourceDefinitionKind } from "./custom-resource-definition.ts";
import { daemonSetKind } from "./daemon-set.ts";
import { deploymentKind } from "./deployment.ts";
import { endpointSliceKind } from "./endpoint-slice.ts";
import { eventKind } from "./event.ts";
import { eventsV1Kind } from "./events-v1.ts";
import { horizontalPodAutoscalerKind, podDisruptionBudgetKind } from "./horizontal-pod-autoscaler.ts";
import { ingressClassKind, ingressKind } from "./ingress.ts";
import { jobKind } from "./job.ts";
import { leaseKind } from "./lease.ts";
import { namespaceKind } from "./namespace.ts";
import { networkPolicyKind } from "./network-policy.ts";
import { nodeKind } from "./node.ts";
import { persistentVolumeClaimKind } from "./persistent-volume-claim.ts";
import { podKind } from "./pod.ts";
import { replicaSetKind } from "./replica-set.ts";
import { clusterRoleBindingKind, clusterRoleKind, roleBindingKind, roleKind } from "./role.ts";
import { secretKind } from "./secret.ts";
import { serviceKind } from "./service.ts";
import { serviceAccountKind } from "./service-account.ts";
import { statefulSetKind } from "./stateful-set.ts";
import { mutatingWebhookConfigurationKind, validatingWebhookConfigurationKind } from "./webhook-configuration.ts";

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
  statefulSetKind,
  daemonSetKind,
  controllerRevisionKind,
  jobKind,
  cronJobKind,
  persistentVolumeClaimKind,
  endpointSliceKind,
  leaseKind,
  ingressKind,
  ingressClassKind,
  networkPolicyKind,
  horizontalPodAutoscalerKind,
  podDisruptionBudgetKind,
  customResourceDefinitionKind,
  validatingWebhookConfigurationKind,
  mutatingWebhookConfigurationKind,
  roleKind,
  clusterRoleKind,
  roleBindingKind,
  clusterRoleBindingKind,
];
