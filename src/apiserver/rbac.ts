// Who may do what: roles and their bindings, read at every question from what is stored.

import { apiVersionOf, type Kind } from "../api/kind.ts";
import {
  clusterRoleBindingKind,
  clusterRoleKind,
  type PolicyRule,
  type Role,
  type RoleBinding,
  roleBindingKind,
  roleKind,
  type Subject,
} from "../api/kubernetes/role.ts";
import type { KubeObject } from "../api/object.ts";
import type { User } from "./http.ts";
import { collectionOf } from "./resources.ts";
import type { Store } from "./store.ts";

/** What somebody wants to do. */
export interface Attempt {
  readonly verb: string;
  readonly group: string;
  /** `pods`, `pods/log`. */
  readonly resource: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
}

export type Verdict = { readonly allowed: true; readonly reason: string } | { readonly allowed: false };

export class Authorizer {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  decide(user: User, attempt: Attempt): Verdict {
    if (user.isAdmin) return { allowed: true, reason: "" };
    const found = this.#grants(user, attempt.namespace).find(({ rules }) =>
      rules.some((rule) => allows(rule, attempt)),
    );
    return found === undefined ? { allowed: false } : { allowed: true, reason: found.reason };
  }

  decidePath(user: User, verb: string, path: string): Verdict {
    if (user.isAdmin) return { allowed: true, reason: "" };
    const found = this.#grants(user, undefined).find(({ rules }) => rules.some((rule) => allowsPath(rule, verb, path)));
    return found === undefined ? { allowed: false } : { allowed: true, reason: found.reason };
  }

  /** Everything that the user may do in the namespace. */
  rulesFor(user: User, namespace: string | undefined): readonly PolicyRule[] {
    if (user.isAdmin) return [EVERYTHING, EVERY_PATH];
    return this.#grants(user, namespace).flatMap(({ rules }) => rules);
  }

  rulesOf(roleRef: RoleBinding["roleRef"], namespace: string | undefined): readonly PolicyRule[] {
    const kind: Kind<Role> = roleRef.kind === "Role" ? roleKind : clusterRoleKind;
    const role = this.#store.get(collectionOf(kind), roleRef.kind === "Role" ? namespace : undefined, roleRef.name);
    return role !== undefined && isRole(role) ? (role.rules ?? []) : [];
  }

  #grants(
    user: User,
    namespace: string | undefined,
  ): readonly { readonly rules: readonly PolicyRule[]; readonly reason: string }[] {
    const cluster = this.#store.list(collectionOf(clusterRoleBindingKind));
    const local = namespace === undefined ? [] : this.#store.list(collectionOf(roleBindingKind), namespace);
    return [...cluster, ...local]
      .filter(isBinding)
      .filter((binding) => (binding.subjects ?? []).some((subject) => isSubject(subject, user, binding)))
      .map((binding) => ({
        rules: this.rulesOf(binding.roleRef, binding.metadata.namespace),
        reason: `RBAC: allowed by ${binding.kind} ${JSON.stringify(nameOf(binding))} of ${binding.roleRef.kind} ${JSON.stringify(binding.roleRef.name)}`,
      }));
  }
}

export const EVERYTHING: PolicyRule = { verbs: ["*"], apiGroups: ["*"], resources: ["*"] };
const EVERY_PATH: PolicyRule = { verbs: ["*"], nonResourceURLs: ["*"] };

function nameOf({ metadata }: KubeObject): string {
  return metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
}

/** Its collection holds nothing else. */
function isBinding(object: KubeObject): object is RoleBinding {
  return object.apiVersion === apiVersionOf(roleBindingKind);
}

function isRole(object: KubeObject): object is Role {
  return object.apiVersion === apiVersionOf(roleKind);
}

function isSubject(subject: Subject, user: User, binding: RoleBinding): boolean {
  switch (subject.kind) {
    case "User":
      return subject.name === user.name;
    case "Group":
      return user.groups.includes(subject.name);
    case "ServiceAccount": {
      const namespace = subject.namespace ?? binding.metadata.namespace ?? "";
      return user.name === `system:serviceaccount:${namespace}:${subject.name}`;
    }
  }
}

function has(list: readonly string[] | undefined, wanted: string): boolean {
  return list?.some((each) => each === "*" || each === wanted) === true;
}

function allows(rule: PolicyRule, { verb, group, resource, name }: Attempt): boolean {
  if (!has(rule.verbs, verb) || !has(rule.apiGroups, group)) return false;
  const subresource = resource.split("/")[1];
  const isNamed =
    has(rule.resources, resource) || (subresource !== undefined && has(rule.resources, `*/${subresource}`));
  if (!isNamed) return false;
  const names = rule.resourceNames ?? [];
  return names.length === 0 || (name !== undefined && names.includes(name));
}

function allowsPath(rule: PolicyRule, verb: string, path: string): boolean {
  if (!has(rule.verbs, verb)) return false;
  return (rule.nonResourceURLs ?? []).some(
    (each) => each === path || (each.endsWith("*") && path.startsWith(each.slice(0, -1))),
  );
}

/** Whether what `rule` allows is allowed by `held` already: nobody gives away what they don't have. */
export function isCovered(rule: PolicyRule, held: readonly PolicyRule[]): boolean {
  const { verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  const names = resourceNames.length === 0 ? [undefined] : resourceNames;
  const isHeld = (attempt: Attempt): boolean => held.some((each) => allows(each, attempt));
  const attempts = verbs.flatMap((verb) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) => names.map((name) => ({ verb, group, resource, namespace: undefined, name }))),
    ),
  );
  return (
    attempts.every(isHeld) &&
    verbs.every((verb) => nonResourceURLs.every((path) => held.some((each) => allowsPath(each, verb, path))))
  );
}
