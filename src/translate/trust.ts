// Whom the proxies of the mesh trust, as a secret: whoever runs beside a proxy takes it, and by its answer tells that it holds.

import { CertificateValidationContext } from "../proto/gen/envoy/extensions/transport_sockets/tls/v3/common.ts";
import { Secret } from "../proto/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts";

/** What configurations call it that are made for proxies. */
export const TRUST_SECRET = "ROOTCA";

export interface TrustBundle {
  /** The root that vouches for new certificates first. */
  readonly rootPem: string;
  readonly crlPem: string | undefined;
}

export function trustSecret({ rootPem, crlPem }: TrustBundle): Secret {
  return trustedBy(TRUST_SECRET, rootPem, crlPem);
}

export function trustedBy(name: string, bundlePem: string, crlPem: string | undefined): Secret {
  const validation = CertificateValidationContext.fromPartial({
    trustedCa: inline(bundlePem),
    ...(crlPem === undefined ? {} : { crl: inline(crlPem) }),
  });
  return Secret.fromPartial({ name, type: { $case: "validationContext", value: validation } });
}

export function inline(text: string) {
  return { specifier: { $case: "inlineBytes" as const, value: Buffer.from(text) } };
}
