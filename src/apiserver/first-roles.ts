// The roles that every cluster has, for bindings to name.

import type { ClusterRole, PolicyRule, RoleBinding } from "../api/kubernetes/role.ts";
import { EVERYTHING } from "./rbac.ts";

const API_VERSION = "rbac.authorization.k8s.io/v1";
const LABELS = { "kubernetes.io/bootstrapping": "rbac-defaults" };

const READ = ["get", "list", "watch"];
const WRITE = ["create", "delete", "deletecollection", "patch", "update"];

const WORKLOADS: readonly (readonly [string, readonly string[]])[] = [
  [
    "",
    [
      "configmaps",
      "endpoints",
      "persistentvolumeclaims",
      "pods",
      "replicationcontrollers",
      "serviceaccounts",
      "services",
    ],
  ],
  ["apps", ["*"]],
  ["autoscaling", ["*"]],
  ["batch", ["*"]],
  ["discovery.k8s.io", ["endpointslices"]],
  ["networking.k8s.io", ["ingresses", "networkpolicies"]],
  ["policy", ["poddisruptionbudgets"]],
  ["networking.istio.io", ["*"]],
  ["security.istio.io", ["*"]],
  ["telemetry.istio.io", ["*"]],
  ["metrics.k8s.io", ["pods"]],
];

function rules(verbs: readonly string[]): readonly PolicyRule[] {
  return WORKLOADS.map(([group, resources]) => ({ verbs, apiGroups: [group], resources }));
}

const VIEW: readonly PolicyRule[] = [
  ...rules(READ),
  { verbs: READ, apiGroups: [""], resources: ["events", "namespaces", "pods/log", "pods/status", "services/status"] },
];
const EDIT: readonly PolicyRule[] = [
  ...VIEW,
  ...rules(WRITE),
  { verbs: [...READ, ...WRITE], apiGroups: [""], resources: ["secrets"] },
  { verbs: ["get", "create"], apiGroups: [""], resources: ["pods/attach", "pods/exec", "pods/portforward"] },
  { verbs: ["create"], apiGroups: [""], resources: ["serviceaccounts/token"] },
];
const ADMIN: readonly PolicyRule[] = [
  ...EDIT,
  { verbs: [...READ, ...WRITE], apiGroups: ["rbac.authorization.k8s.io"], resources: ["roles", "rolebindings"] },
];

function role(name: string, allowed: readonly PolicyRule[]): ClusterRole {
  return { apiVersion: API_VERSION, kind: "ClusterRole", metadata: { name, labels: LABELS }, rules: allowed };
}

export const FIRST_ROLES: readonly ClusterRole[] = [
  role("cluster-admin", [EVERYTHING, { verbs: ["*"], nonResourceURLs: ["*"] }]),
  role("admin", ADMIN),
  role("edit", EDIT),
  role("view", VIEW),
];

export const FIRST_BINDING: RoleBinding = {
  apiVersion: API_VERSION,
  kind: "ClusterRoleBinding",
  metadata: { name: "cluster-admin", labels: LABELS },
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
  subjects: [{ kind: "Group", name: "system:masters", apiGroup: "rbac.authorization.k8s.io" }],
};
