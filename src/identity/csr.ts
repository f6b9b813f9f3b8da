// A PKCS#10 request for a workload's certificate: empty subject, the identity as a critical URI name.

import { createPublicKey, type KeyObject, sign } from "node:crypto";
import { encodeDer, encodeObjectId, TAG } from "./der.ts";
import { formatPem } from "./pem.ts";

const OID_EXTENSION_REQUEST = "1.2.840.113549.1.9.14";
const OID_SUBJECT_ALT_NAME = "2.5.29.17";

interface Signature {
  readonly hash: "sha256" | "sha384";
  readonly algorithm: Buffer;
}

const ECDSA_SHA256: Signature = { hash: "sha256", algorithm: encodeObjectId("1.2.840.10045.4.3.2") };
const ECDSA_SHA384: Signature = { hash: "sha384", algorithm: encodeObjectId("1.2.840.10045.4.3.3") };
/** RSA's has a parameter, which is nothing. */
const RSA_SHA256: Signature = {
  hash: "sha256",
  algorithm: Buffer.concat([encodeObjectId("1.2.840.113549.1.1.11"), encodeDer(TAG.null)]),
};

/** The request in PEM, signed by `privateKey` (EC on P-256 or P-384, or RSA). */
export function makeCsr(privateKey: KeyObject, spiffeId: string): string {
  const publicKey = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  const names = encodeDer(TAG.sequence, encodeDer(TAG.uri, Buffer.from(spiffeId, "ascii")));
  const extension = encodeDer(
    TAG.sequence,
    encodeObjectId(OID_SUBJECT_ALT_NAME),
    encodeDer(TAG.boolean, Buffer.from([0xff])),
    encodeDer(TAG.octetString, names),
  );
  const attribute = encodeDer(
    TAG.sequence,
    encodeObjectId(OID_EXTENSION_REQUEST),
    encodeDer(TAG.set, encodeDer(TAG.sequence, extension)),
  );
  const info = encodeDer(
    TAG.sequence,
    encodeDer(TAG.integer, Buffer.from([0])),
    encodeDer(TAG.sequence),
    publicKey,
    encodeDer(TAG.attributes, attribute),
  );
  const { hash, algorithm } = signatureOf(privateKey);
  const request = encodeDer(
    TAG.sequence,
    info,
    encodeDer(TAG.sequence, algorithm),
    encodeDer(TAG.bitString, Buffer.from([0]), sign(hash, info, privateKey)),
  );
  return formatPem("CERTIFICATE REQUEST", request);
}

function signatureOf(key: KeyObject): Signature {
  if (key.asymmetricKeyType === "rsa") return RSA_SHA256;
  return key.asymmetricKeyDetails?.namedCurve === "secp384r1" ? ECDSA_SHA384 : ECDSA_SHA256;
}
