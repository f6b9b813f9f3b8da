// A PKCS#10 request for a workload's certificate: empty subject, the identity as a critical URI name.

import { createPublicKey, type KeyObject, sign } from "node:crypto";
import { encodeDer, encodeObjectId, TAG } from "./der.ts";
import { formatPem } from "./pem.ts";

const OID_EXTENSION_REQUEST = "1.2.840.113549.1.9.14";
const OID_SUBJECT_ALT_NAME = "2.5.29.17";
const OID_ECDSA_SHA256 = "1.2.840.10045.4.3.2";

/** The request in PEM, signed by `privateKey` (EC). */
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
  const request = encodeDer(
    TAG.sequence,
    info,
    encodeDer(TAG.sequence, encodeObjectId(OID_ECDSA_SHA256)),
    encodeDer(TAG.bitString, Buffer.from([0]), sign("sha256", info, privateKey)),
  );
  return formatPem("CERTIFICATE REQUEST", request);
}
