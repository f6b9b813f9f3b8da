// Who a workload is: a SPIFFE id in Istio's form, `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT`.

import { err, ok, type Result } from "../base/result.ts";

export interface WorkloadIdentity {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

export const DEFAULT_TRUST_DOMAIN = "cluster.local";

const SPIFFE_ID = /^spiffe:\/\/([a-z0-9._-]{1,255})\/ns\/([A-Za-z0-9._-]{1,253})\/sa\/([A-Za-z0-9._-]{1,253})$/;

export function formatSpiffeId(identity: WorkloadIdentity): string {
  return `spiffe://${identity.trustDomain}/ns/${identity.namespace}/sa/${identity.serviceAccount}`;
}

export function parseSpiffeId(text: string): Result<WorkloadIdentity, string> {
  const match = SPIFFE_ID.exec(text);
  if (match === null) {
    return err(
      `"${text}" is not a workload's identity: expected spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT`,
    );
  }
  const [, trustDomain = "", namespace = "", serviceAccount = ""] = match;
  return ok({ trustDomain, namespace, serviceAccount });
}
