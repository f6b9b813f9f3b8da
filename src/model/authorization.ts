// AuthorizationPolicies by the workloads that they select.

import type { AuthorizationPolicy } from "../api/istio/authorization-policy.ts";
import type { ExtensionProvider } from "../api/istio/mesh-config.ts";
import { matchesLabels } from "./endpoint.ts";
import { byAge, type Finding, refOf } from "./finding.ts";
import type { MeshConfig } from "./mesh-config.ts";

/** Namespace to its policies, oldest first. */
export type AuthorizationIndex = ReadonlyMap<string, readonly AuthorizationPolicy[]>;

export function indexAuthorization(policies: Iterable<AuthorizationPolicy>): AuthorizationIndex {
  const index = new Map<string, AuthorizationPolicy[]>();
  for (const policy of [...policies].sort(byAge)) {
    const namespace = policy.metadata.namespace ?? "default";
    const list = index.get(namespace);
    if (list === undefined) index.set(namespace, [policy]);
    else list.push(policy);
  }
  return index;
}

/** Those of the root namespace and of the workload's own that select it. */
export function policiesOf(
  index: AuthorizationIndex,
  workload: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
  mesh: MeshConfig,
): readonly AuthorizationPolicy[] {
  const namespaces = new Set([mesh.rootNamespace, workload.namespace]);
  return [...namespaces]
    .flatMap((namespace) => index.get(namespace) ?? [])
    .filter(({ spec }) => spec?.targetRef === undefined && spec?.targetRefs === undefined)
    .filter(({ spec }) => matchesLabels(spec?.selector?.matchLabels, workload.labels));
}

/** Whom a CUSTOM policy asks; undefined where MeshConfig defines no authorizer of that name. */
export function providerOf({ spec }: AuthorizationPolicy, mesh: MeshConfig): ExtensionProvider | undefined {
  return (mesh.settings.extensionProviders ?? []).find(
    ({ name, envoyExtAuthzHttp, envoyExtAuthzGrpc }) =>
      name === spec?.provider?.name && (envoyExtAuthzHttp ?? envoyExtAuthzGrpc) !== undefined,
  );
}

export function providerFindings(index: AuthorizationIndex, mesh: MeshConfig): readonly Finding[] {
  return [...index.values()]
    .flat()
    .filter((policy) => policy.spec?.action === "CUSTOM" && providerOf(policy, mesh) === undefined)
    .map((policy) => ({
      resource: refOf(policy),
      type: "reference",
      path: "spec.provider.name",
      message: `MeshConfig has no extension provider "${policy.spec?.provider?.name}" with envoyExtAuthzHttp or envoyExtAuthzGrpc; what the policy matches is refused`,
    }));
}
