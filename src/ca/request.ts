// A workload's signing request, read and checked: what counts is its key and that the sender holds it.

import "reflect-metadata";
import { createPublicKey } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { err, ok, type Result } from "../base/result.ts";
import { parsePem } from "../identity/pem.ts";
import { CSR_CHARS_MAX, RSA_BITS_MIN } from "./limits.ts";

const CURVES: readonly (string | undefined)[] = ["prime256v1", "secp384r1"];

/** The public key (SubjectPublicKeyInfo) of a request whose own signature holds. */
export async function readCsr(pem: string): Promise<Result<Uint8Array<ArrayBuffer>, string>> {
  if (pem.length > CSR_CHARS_MAX) return err(`the request is longer than ${CSR_CHARS_MAX} characters`);
  const block = parsePem(pem).find((candidate) => candidate.label.endsWith("CERTIFICATE REQUEST"));
  if (block === undefined) return err("the csr field holds no PEM block CERTIFICATE REQUEST");
  try {
    const request = new x509.Pkcs10CertificateRequest(new Uint8Array(block.der));
    const publicKeyDer = new Uint8Array(request.publicKey.rawData);
    const problem = keyProblem(publicKeyDer);
    if (problem !== undefined) return err(problem);
    if (!(await request.verify())) return err("the request is not signed by its own key");
    return ok(publicKeyDer);
  } catch (error) {
    return err(`the request can't be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function keyProblem(publicKeyDer: Uint8Array): string | undefined {
  const key = createPublicKey({ key: Buffer.from(publicKeyDer), type: "spki", format: "der" });
  const details = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "ec":
      return CURVES.includes(details.namedCurve)
        ? undefined
        : `curve ${details.namedCurve}: only P-256 and P-384 are signed`;
    case "rsa":
      return (details.modulusLength ?? 0) >= RSA_BITS_MIN ? undefined : `RSA keys need ${RSA_BITS_MIN} bits or more`;
    default:
      return `a key of type ${key.asymmetricKeyType}: only EC (P-256, P-384) and RSA keys are signed`;
  }
}
