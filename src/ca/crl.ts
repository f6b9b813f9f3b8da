// Revocation lists of a plugged-in CA. Peers that are given lists want one of every authority in a chain,
// so that a missing or stale one would end all connections: such a bundle is refused before anybody gets it.

import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { err, ok, type Result } from "../base/result.ts";
import type { CertificateFacts } from "../identity/chain.ts";
import { formatPem, parsePem } from "../identity/pem.ts";

export interface RevocationLists {
  /** As it is given on. */
  readonly pem: string;
  /** When the first of them is out of date. */
  readonly staleAtMs: number;
  /** Serial numbers as `plainSerial` has them. Those of workloads are random, so that the issuer needn't be looked at. */
  readonly revoked: ReadonlySet<string>;
}

/** Every authority must have its list, signed by it and in date. */
export async function readRevocationLists(
  pem: string,
  authorities: readonly CertificateFacts[],
  nowMs: number,
): Promise<Result<RevocationLists, string>> {
  const blocks = parsePem(pem).filter(({ label }) => label === "X509 CRL");
  if (blocks.length === 0) return err("it holds no PEM block X509 CRL");
  const lists: x509.X509Crl[] = [];
  for (const { der } of blocks) {
    try {
      lists.push(new x509.X509Crl(new Uint8Array(der)));
    } catch (error) {
      return err(`a list can't be read: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  for (const authority of authorities) {
    const problem = await listProblem(authority, lists, nowMs);
    if (problem !== undefined) return err(problem);
  }
  const ends = lists.flatMap(({ nextUpdate }) => (nextUpdate === undefined ? [] : [nextUpdate.getTime()]));
  return ok({
    pem: blocks.map(({ label, der }) => formatPem(label, der)).join(""),
    staleAtMs: Math.min(Number.POSITIVE_INFINITY, ...ends),
    revoked: new Set(lists.flatMap(({ entries }) => entries.map(({ serialNumber }) => plainSerial(serialNumber)))),
  });
}

async function listProblem(
  { pem, subject }: CertificateFacts,
  lists: readonly x509.X509Crl[],
  nowMs: number,
): Promise<string | undefined> {
  const name = subject.replaceAll("\n", ", ");
  const issuer = new x509.X509Certificate(pem);
  for (const list of lists) {
    if (list.issuer !== issuer.subject || !(await isSigned(list, issuer))) continue;
    if (list.nextUpdate !== undefined && list.nextUpdate.getTime() <= nowMs) {
      return `the list of ${name} is out of date since ${list.nextUpdate.toISOString()}`;
    }
    return undefined;
  }
  return `there is no list of ${name}, signed by it: every authority of a chain needs one`;
}

/** A key of another kind can't even be tried. */
async function isSigned(list: x509.X509Crl, issuer: x509.X509Certificate): Promise<boolean> {
  try {
    return await list.verify({ publicKey: issuer });
  } catch {
    return false;
  }
}

/** In lower case, without the zeros that some print before it. */
export function plainSerial(serialNumber: string): string {
  return serialNumber.toLowerCase().replace(/^0+(?=.)/, "");
}
