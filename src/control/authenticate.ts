// Who opens a discovery stream: the account of its token, or of the certificate that its TLS verified.

import type { KubeClient } from "../api/client.ts";
import type { Clock } from "../base/clock.ts";
import { err, ok } from "../base/result.ts";
import { readCertificate, verifyChain } from "../identity/chain.ts";
import { parseSpiffeId } from "../identity/spiffe.ts";
import type { Authenticate } from "../serve/server.ts";

const TOKEN_AUDIENCE = "istio-ca";

export interface AuthenticateOptions {
  readonly client: Pick<KubeClient, "reviewToken">;
  readonly clock: Clock;
  readonly trust: () => { readonly rootPem: string; readonly chainPem: string };
  readonly trustDomain: string;
}

/** The plain port asks nobody. */
export const admitEverybody: Authenticate = () => Promise.resolve(ok(undefined));

export function makeAuthenticate(options: AuthenticateOptions): Authenticate {
  return async ({ metadata, certificate }) => {
    const [authorization = ""] = metadata.get("authorization");
    const token = /^Bearer (\S+)$/i.exec(String(authorization))?.[1];
    if (token !== undefined) {
      const review = await options.client.reviewToken(token, TOKEN_AUDIENCE);
      if (!review.ok) return err(`the token was refused: ${review.error.message}`);
      const { namespace, serviceAccount } = review.value;
      return ok({ trustDomain: options.trustDomain, namespace, serviceAccount });
    }
    if (certificate === undefined) {
      return err(`no credential: send the pod's token (audience ${TOKEN_AUDIENCE}) or a workload certificate`);
    }
    const read = readCertificate(certificate);
    if (!read.ok) return err(`the client's certificate can't be read: ${read.error}`);
    const { rootPem, chainPem } = options.trust();
    const verified = verifyChain(read.value.pem + chainPem, rootPem, options.clock.wallMs());
    if (!verified.ok) return err(`the client's certificate was refused: ${verified.error}`);
    return parseSpiffeId(verified.value.uris[0] ?? "");
  };
}
