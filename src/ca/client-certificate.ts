// A certificate of the mesh as a credential: whose it is, if this authority vouches for it at this moment.
// The TLS layer checks a certificate when the connection begins; a connection may outlive it, so it is checked here again.

import { err, type Result } from "../base/result.ts";
import { readCertificate, verifyChain } from "../identity/chain.ts";
import { parseSpiffeId, type WorkloadIdentity } from "../identity/spiffe.ts";
import type { Authority } from "./authority.ts";
import { plainSerial } from "./crl.ts";

export type Trust = Pick<Authority, "rootPem" | "chainPem" | "lists" | "trustDomain">;

export function identityOf(der: Buffer, trust: Trust, nowMs: number): Result<WorkloadIdentity, string> {
  const read = readCertificate(der);
  if (!read.ok) return err(`the client's certificate can't be read: ${read.error}`);
  const verified = verifyChain(read.value.pem + trust.chainPem, trust.rootPem, nowMs);
  if (!verified.ok) return err(`the client's certificate was refused: ${verified.error}`);
  if (trust.lists?.revoked.has(plainSerial(verified.value.serialNumber)) === true) {
    return err(`the client's certificate was refused: ${verified.value.serialNumber} is revoked`);
  }
  const [uri = "", ...more] = verified.value.uris;
  const identity = parseSpiffeId(uri);
  if (!identity.ok || more.length > 0) return err("the client's certificate names no workload of this mesh");
  if (identity.value.trustDomain !== trust.trustDomain) {
    return err(`the client's trust domain is ${identity.value.trustDomain}, this mesh's is ${trust.trustDomain}`);
  }
  return identity;
}
