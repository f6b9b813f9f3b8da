// Who may read the debug pages: this machine, and service accounts of the root namespace, as istiod has it. They show
// where everything is and what is allowed to whom, which is nobody's business in a pod.

import type { KubeClient } from "../api/client.ts";
import { TOKEN_AUDIENCE } from "./authenticate.ts";

export interface DebugCaller {
  /** Addresses of the connection's two ends. */
  readonly remote: string;
  readonly local: string;
  readonly authorization: string | undefined;
}

/** Why the caller is refused, and what to do; undefined where it isn't. */
export type DebugAccess = (caller: DebugCaller) => Promise<string | undefined>;

export interface DebugAccessOptions {
  readonly client: Pick<KubeClient, "reviewToken">;
  readonly rootNamespace: string;
}

export function makeDebugAccess({ client, rootNamespace }: DebugAccessOptions): DebugAccess {
  const next = `Ask through the API server (weft proxy-status, or kubectl get --raw /api/v1/namespaces/${rootNamespace}/services/istiod:15014/proxy/debug/list), or send a token: kubectl create token -n ${rootNamespace} ACCOUNT --audience ${TOKEN_AUDIENCE}`;
  return async ({ remote, local, authorization }) => {
    if (isOwnMachine(remote, local)) return undefined;
    const token = /^Bearer (\S+)$/i.exec(authorization ?? "")?.[1];
    if (token === undefined) return `the debug pages ask for a token of a service account of ${rootNamespace}. ${next}`;
    const review = await client.reviewToken(token, TOKEN_AUDIENCE);
    if (!review.ok) return `the token was refused: ${review.error.message}. ${next}`;
    const { namespace, serviceAccount } = review.value;
    if (namespace === rootNamespace) return undefined;
    return `the debug pages are for service accounts of ${rootNamespace}, and the token is of ${namespace}/${serviceAccount}. ${next}`;
  };
}

/** Over loopback, or from one of the machine's own addresses to itself, as the API server hands requests on. */
function isOwnMachine(remote: string, local: string): boolean {
  const plain = remote.replace(/^::ffff:/, "");
  return plain === "::1" || plain.startsWith("127.") || plain === local.replace(/^::ffff:/, "");
}
