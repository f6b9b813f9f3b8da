// Nobody may give rights that they don't have themselves, by a role or by binding one.

import { clusterRoleKind, type PolicyRule, type Role, type RoleBinding, roleKind } from "../api/kubernetes/role.ts";
import type { KubeObject } from "../api/object.ts";
import type { AdmissionPlugin } from "./admission.ts";
import { type Authorizer, isCovered } from "./rbac.ts";
import { forbidden } from "./status.ts";

export function escalationPlugin(authorizer: Authorizer): AdmissionPlugin {
  return {
    name: "rbac-escalation",
    admit: async ({ kind, object, user, namespace }) => {
      const isRbac = kind.group === roleKind.group;
      if (!isRbac || user.isAdmin) return { kind: "allowed", object, warnings: [] };
      const given = rulesIn(object, authorizer);
      const held = authorizer.rulesFor(user, namespace);
      const beyond = given.find((rule) => !isCovered(rule, held));
      if (beyond === undefined) return { kind: "allowed", object, warnings: [] };
      const message = `user ${JSON.stringify(user.name)} is attempting to grant RBAC permissions not currently held: ${JSON.stringify(beyond)}`;
      return { kind: "denied", error: forbidden(kind, object.metadata.name, message) };
    },
  };
}

function rulesIn(object: KubeObject, authorizer: Authorizer): readonly PolicyRule[] {
  if (isRole(object)) return object.rules ?? [];
  return isBinding(object) ? authorizer.rulesOf(object.roleRef, object.metadata.namespace) : [];
}

function isRole(object: KubeObject): object is Role {
  return object.kind === roleKind.kind || object.kind === clusterRoleKind.kind;
}

function isBinding(object: KubeObject): object is RoleBinding {
  return object.kind.endsWith("Binding");
}
