// Role and ClusterRole, and their bindings: who may do what in the API.

import type { Static } from "typebox";
import { deepEqual } from "../../base/equal.ts";
import { ageColumn, nameColumn } from "../columns.ts";
import { errorIssue, type Issue, warningIssue } from "../issue.ts";
import type { Column, Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { labelSelector, list, oneOf, struct, text, texts } from "./fields.ts";

const policyRule = struct(
  { verbs: texts },
  { apiGroups: texts, resources: texts, resourceNames: texts, nonResourceURLs: texts },
);
export type PolicyRule = Static<typeof policyRule>;

const subject = struct(
  { kind: oneOf("ServiceAccount", "User", "Group"), name: text },
  { apiGroup: text, namespace: text },
);
export type Subject = Static<typeof subject>;

const roleRef = struct({ kind: oneOf("Role", "ClusterRole"), name: text }, { apiGroup: text });

export interface Role extends KubeObject {
  readonly rules?: readonly PolicyRule[];
}

export interface ClusterRole extends Role {
  readonly aggregationRule?: { readonly clusterRoleSelectors?: readonly Static<typeof labelSelector>[] };
}

export interface RoleBinding extends KubeObject {
  readonly subjects?: readonly Subject[];
  readonly roleRef: Static<typeof roleRef>;
}

const GROUP = "rbac.authorization.k8s.io";
const shared = {
  group: GROUP,
  versions: ["v1"],
  shortNames: [],
  categories: [],
  origin: "builtin",
  subresources: [],
} as const;

const createdColumn: Column<KubeObject> = {
  name: "Created At",
  type: "string",
  priority: 0,
  value: ({ metadata }) => metadata.creationTimestamp ?? "",
};

function checkRules(role: Role): Issue[] {
  return (role.rules ?? []).flatMap((rule, index) => {
    const issues: Issue[] = [];
    const path = `rules[${index}]`;
    if (rule.verbs.length === 0)
      issues.push(errorIssue(`${path}.verbs`, "verbs must contain at least one value", "required"));
    if ((rule.nonResourceURLs ?? []).length === 0 && (rule.resources ?? []).length === 0) {
      issues.push(errorIssue(`${path}.resources`, "resource rules must supply at least one resource", "required"));
    }
    return issues;
  });
}

export const roleKind: Kind<Role> = {
  ...shared,
  kind: "Role",
  plural: "roles",
  singular: "role",
  namespaced: true,
  summary: "Role is a namespaced, logical grouping of PolicyRules that can be referenced by a RoleBinding.",
  schema: struct({}, { rules: list(policyRule) }),
  columns: [nameColumn, createdColumn],
  check: checkRules,
};

export const clusterRoleKind: Kind<ClusterRole> = {
  ...shared,
  kind: "ClusterRole",
  plural: "clusterroles",
  singular: "clusterrole",
  namespaced: false,
  summary: "ClusterRole is a cluster level, logical grouping of PolicyRules that can be referenced by a binding.",
  schema: struct(
    {},
    { rules: list(policyRule), aggregationRule: struct({}, { clusterRoleSelectors: list(labelSelector) }) },
  ),
  columns: [nameColumn, createdColumn],
  check: (role) => [
    ...checkRules(role),
    ...(role.aggregationRule === undefined
      ? []
      : [warningIssue("aggregationRule", "has no effect on the local cluster: write the rules themselves")]),
  ],
};

const bindingSchema = struct({ roleRef }, { subjects: list(subject) });

const bindingColumns: readonly Column<RoleBinding>[] = [
  nameColumn,
  { name: "Role", type: "string", priority: 0, value: (binding) => `${binding.roleRef.kind}/${binding.roleRef.name}` },
  ageColumn,
  { name: "Users", type: "string", priority: 1, value: (binding) => subjectsOf(binding, "User") },
  { name: "Groups", type: "string", priority: 1, value: (binding) => subjectsOf(binding, "Group") },
  { name: "ServiceAccounts", type: "string", priority: 1, value: (binding) => subjectsOf(binding, "ServiceAccount") },
];

function subjectsOf(binding: RoleBinding, kind: Subject["kind"]): string {
  const names = (binding.subjects ?? [])
    .filter((each) => each.kind === kind)
    .map((each) => (kind === "ServiceAccount" ? `${each.namespace ?? ""}/${each.name}` : each.name));
  return names.join(", ");
}

function bindingDefaults<T extends RoleBinding>(binding: T): T {
  return {
    ...binding,
    roleRef: { apiGroup: GROUP, ...binding.roleRef },
    ...(binding.subjects === undefined
      ? {}
      : {
          subjects: binding.subjects.map((each) =>
            each.kind === "ServiceAccount" ? each : { apiGroup: GROUP, ...each },
          ),
        }),
  };
}

function checkBinding(binding: RoleBinding, previous: RoleBinding | undefined): Issue[] {
  const issues: Issue[] = [];
  if (previous !== undefined && !deepEqual(previous.roleRef, binding.roleRef)) {
    issues.push(errorIssue("roleRef", "cannot change roleRef"));
  }
  for (const [index, each] of (binding.subjects ?? []).entries()) {
    if (each.kind === "ServiceAccount" && (each.namespace ?? "") === "" && binding.kind === "ClusterRoleBinding") {
      issues.push(errorIssue(`subjects[${index}].namespace`, "", "required"));
    }
  }
  return issues;
}

export const roleBindingKind: Kind<RoleBinding> = {
  ...shared,
  kind: "RoleBinding",
  plural: "rolebindings",
  singular: "rolebinding",
  namespaced: true,
  summary: "RoleBinding references a role and gives it to subjects in the namespace that it is in.",
  schema: bindingSchema,
  columns: bindingColumns,
  applyDefaults: bindingDefaults,
  check: checkBinding,
};

export const clusterRoleBindingKind: Kind<RoleBinding> = {
  ...shared,
  kind: "ClusterRoleBinding",
  plural: "clusterrolebindings",
  singular: "clusterrolebinding",
  namespaced: false,
  summary: "ClusterRoleBinding references a ClusterRole and gives it to subjects in the whole cluster.",
  schema: bindingSchema,
  columns: bindingColumns,
  applyDefaults: bindingDefaults,
  check: (binding, previous) => [
    ...checkBinding(binding, previous),
    ...(binding.roleRef.kind === "ClusterRole"
      ? []
      : [errorIssue("roleRef.kind", 'supported values: "ClusterRole"', "unsupported")]),
  ],
};
