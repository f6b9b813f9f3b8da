// /certs: the certificates in use, without their keys.

import { readBundle } from "../../identity/chain.ts";
import { type Answer, type Endpoint, json } from "./answer.ts";

const DAY_MS = 86_400_000;

export const certsEndpoint: Endpoint = {
  path: "/certs",
  help: "print certs on machine",
  mutates: false,
  run({ view, wallMs }): Answer {
    const held = view.certificates().filter(({ caPem, chainPem }) => caPem !== undefined || chainPem !== undefined);
    const certificates = held.map((entry) => ({
      ca_cert: describe(entry.caPem, entry.secretName, wallMs()),
      cert_chain: describe(entry.chainPem, entry.secretName, wallMs()),
    }));
    return json({ certificates });
  },
};

function describe(pem: string | undefined, secretName: string, nowMs: number): readonly unknown[] {
  const facts = pem === undefined ? undefined : readBundle(pem);
  if (facts?.ok !== true) return [];
  return facts.value.map((certificate) => ({
    path: `<inline: ${secretName}>`,
    serial_number: certificate.serialNumber,
    subject_alt_names: [...certificate.uris.map((uri) => ({ uri })), ...certificate.dnsNames.map((dns) => ({ dns }))],
    days_until_expiration: String(Math.max(0, Math.floor((certificate.notAfterMs - nowMs) / DAY_MS))),
    valid_from: seconds(certificate.notBeforeMs),
    expiration_time: seconds(certificate.notAfterMs),
  }));
}

function seconds(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/\.\d+Z$/, "Z");
}
