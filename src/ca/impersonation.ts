// A node proxy asks for certificates of the pods on its node. It gets them only where it is one of the accounts that are
// trusted with that, and where its own node runs a pod of the identity that it names, as in Istio.

import type { KubeClient, TokenReview } from "../api/client.ts";
import { type Pod, podKind } from "../api/kubernetes/pod.ts";
import { err, ok, type Result } from "../base/result.ts";
import { parseSpiffeId, type WorkloadIdentity } from "../identity/spiffe.ts";

export interface ImpersonationOptions {
  readonly client: Pick<KubeClient, "get" | "list">;
  readonly trustDomain: string;
  /** `NAMESPACE/SERVICE-ACCOUNT`; none: nobody may. */
  readonly trustedNodeAccounts: readonly string[];
}

/** Undefined: the request names nobody else. */
export function impersonated(metadata: Readonly<Record<string, unknown>> | undefined): string | undefined {
  const named = metadata?.["ImpersonatedIdentity"];
  return named === undefined || named === "" ? undefined : String(named);
}

/** `caller`: what its token says, which must be bound to the pod that it runs in. */
export async function impersonate(
  wanted: string,
  caller: TokenReview | undefined,
  options: ImpersonationOptions,
): Promise<Result<WorkloadIdentity, string>> {
  if (caller === undefined) return err("who impersonates must show the token of its pod, not a certificate");
  const account = `${caller.namespace}/${caller.serviceAccount}`;
  if (!options.trustedNodeAccounts.includes(account)) return err(`${account} may impersonate nobody`);
  const identity = parseSpiffeId(wanted);
  if (!identity.ok) return identity;
  if (identity.value.trustDomain !== options.trustDomain) return err(`${wanted} is of another trust domain`);
  if (caller.pod === undefined) return err(`the token of ${account} is bound to no pod, so that its node is unknown`);
  const own = await options.client.get<Pod>(podKind, { namespace: caller.namespace, name: caller.pod.name });
  const node = own.ok && own.value.metadata.uid === caller.pod.uid ? own.value.spec.nodeName : undefined;
  if (node === undefined) return err(`the node of ${account} is unknown`);
  const { namespace, serviceAccount } = identity.value;
  const pods = await options.client.list<Pod>(podKind, { namespace });
  if (!pods.ok) return err(`the pods of ${namespace} can't be listed: ${pods.error.message}`);
  const runs = pods.value.some(
    ({ spec, status }) =>
      spec.nodeName === node &&
      (spec.serviceAccountName ?? "default") === serviceAccount &&
      status?.phase !== "Succeeded" &&
      status?.phase !== "Failed",
  );
  return runs ? ok(identity.value) : err(`node ${node} runs no pod of ${wanted}`);
}
