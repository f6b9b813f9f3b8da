// Whom AuthorizationPolicies with action CUSTOM ask.

import type { AuthorizationPolicy } from "../api/istio/authorization-policy.ts";
import type { ExtensionProvider } from "../api/istio/mesh-config.ts";
import type { ByNamespace } from "./by-namespace.ts";
import { type Finding, refOf } from "./finding.ts";
import type { MeshConfig } from "./mesh-config.ts";

export type AuthorizationIndex = ByNamespace<AuthorizationPolicy>;

/** Whom a CUSTOM policy asks; undefined where MeshConfig defines no authorizer of that name. */
export function providerOf({ spec }: AuthorizationPolicy, mesh: MeshConfig): ExtensionProvider | undefined {
  return (mesh.settings.extensionProviders ?? []).find(
    ({ name, envoyExtAuthzHttp, envoyExtAuthzGrpc }) =>
      name === spec?.provider?.name && (envoyExtAuthzHttp ?? envoyExtAuthzGrpc) !== undefined,
  );
}

/** Only said, not done: the annotation's value is a boolean as Go reads it. */
export function isDryRun({ metadata }: AuthorizationPolicy): boolean {
  return ["1", "t", "T", "true", "True", "TRUE"].includes(metadata.annotations?.["istio.io/dry-run"] ?? "");
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
