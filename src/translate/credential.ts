// Certificates from Secrets by discovery: their names, and what is told under them.

import type { CredentialResource } from "../ingest/credential.ts";
import type { NamedCredential } from "../model/credential.ts";
import { ApiVersion } from "../proto/gen/envoy/config/core/v3/config_source.ts";
import { TlsCertificate } from "../proto/gen/envoy/extensions/transport_sockets/tls/v3/common.ts";
import { SdsSecretConfig, Secret } from "../proto/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts";
import type { ProxyNode } from "./proxy.ts";
import { inline, trustedBy } from "./trust.ts";

const PREFIX = "kubernetes://";
const TRUST_SUFFIX = "-cacert";

export function secretName(credential: string): string {
  return `${PREFIX}${credential}`;
}

export function trustName(credential: string): string {
  return `${PREFIX}${credential}${credential.endsWith(TRUST_SUFFIX) ? "" : TRUST_SUFFIX}`;
}

/** One that does not exist must not hold up the listener for ever, so the proxy's own time limit holds. */
export function secretConfig(name: string): SdsSecretConfig {
  return SdsSecretConfig.fromPartial({
    name,
    sdsConfig: { configSourceSpecifier: { $case: "ads", value: {} }, resourceApiVersion: ApiVersion.V3 },
  });
}

/** What is named, from the proxy's own namespace, for a proxy that has shown to be of it. */
export function namedSecrets(
  names: readonly Pick<NamedCredential, "name" | "needs">[],
  proxy: ProxyNode,
  credentials: ReadonlyMap<string, CredentialResource>,
): readonly Secret[] {
  if (!proxy.verified) return [];
  const secrets = new Map<string, Secret>();
  for (const { name, needs } of names) {
    const own = credentials.get(`${proxy.namespace}/${name}`)?.credential;
    if (needs === "certificate") {
      if (own?.certificate !== undefined) secrets.set(secretName(name), certificateSecret(name, own.certificate));
      continue;
    }
    const beside = credentials.get(`${proxy.namespace}/${name}${TRUST_SUFFIX}`)?.credential;
    const trust = beside?.trust ?? own?.trust;
    if (trust !== undefined) {
      secrets.set(trustName(name), trustedBy(trustName(name), trust.bundlePem, trust.crlPem));
    }
  }
  return [...secrets.values()];
}

type Credential = NonNullable<CredentialResource["credential"]>;

function certificateSecret(name: string, { chainPem, key }: NonNullable<Credential["certificate"]>): Secret {
  const certificate = TlsCertificate.fromPartial({
    certificateChain: inline(chainPem),
    privateKey: inline(key.reveal()),
  });
  return Secret.fromPartial({ name: secretName(name), type: { $case: "tlsCertificate", value: certificate } });
}
