// The credentials that a Gateway's servers name: which, for what, and what is wrong with the Secret that should hold one.

import type { GatewayServer } from "../api/istio/gateway.ts";
import type { Credential, CredentialResource } from "../ingest/credential.ts";

export interface NamedCredential {
  readonly name: string;
  readonly needs: "certificate" | "trust";
  /** Below `tls`. */
  readonly field: string;
}

export function serverCredentials(tls: GatewayServer["tls"]): readonly NamedCredential[] {
  const mode = tls?.mode ?? "PASSTHROUGH";
  if (tls === undefined || !(mode === "SIMPLE" || mode === "MUTUAL" || mode === "OPTIONAL_MUTUAL")) return [];
  const { credentialName = "", credentialNames = [], caCertCredentialName = "" } = tls;
  const named: NamedCredential[] = credentialNames.map((name, i) => {
    return { name, needs: "certificate", field: `credentialNames[${i}]` };
  });
  if (credentialName !== "") named.push({ name: credentialName, needs: "certificate", field: "credentialName" });
  if (mode === "SIMPLE") return named;
  if (caCertCredentialName !== "") {
    named.push({ name: caCertCredentialName, needs: "trust", field: "caCertCredentialName" });
  } else {
    const [first] = named;
    if (first !== undefined) named.push({ ...first, needs: "trust" });
  }
  return named;
}

/** Finishes "Secret a/b …"; undefined where it has what is needed. */
export function credentialProblem(
  resource: CredentialResource | undefined,
  needs: NamedCredential["needs"],
): string | undefined {
  const credential: Credential | undefined = resource?.credential;
  if (credential === undefined) {
    return needs === "certificate"
      ? "does not exist, or is neither of type kubernetes.io/tls nor Opaque with tls.crt and tls.key (or cert and key)"
      : "does not exist, or has no ca.crt (or cacert) to check client certificates with";
  }
  if (needs === "trust")
    return credential.trust === undefined ? "has no ca.crt (or cacert) to check client certificates with" : undefined;
  if (credential.certificate !== undefined) return undefined;
  return credential.broken ?? "has no tls.crt with tls.key (or cert with key)";
}
