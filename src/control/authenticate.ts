// Who opens a discovery stream: the account of its token, or of the certificate that its TLS verified.

import type { KubeClient } from "../api/client.ts";
import type { Clock } from "../base/clock.ts";
import { err, ok } from "../base/result.ts";
import { identityOf, type Trust } from "../ca/client-certificate.ts";
import type { Authenticate } from "../serve/server.ts";

export const TOKEN_AUDIENCE = "istio-ca";

export interface AuthenticateOptions {
  readonly client: Pick<KubeClient, "reviewToken">;
  readonly clock: Clock;
  readonly trust: () => Trust;
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
      return ok({ trustDomain: options.trust().trustDomain, namespace, serviceAccount });
    }
    if (certificate === undefined) {
      return err(`no credential: send the pod's token (audience ${TOKEN_AUDIENCE}) or a workload certificate`);
    }
    return identityOf(certificate, options.trust(), options.clock.wallMs());
  };
}
