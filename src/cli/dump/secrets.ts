// `weft proxy-config secret`: a proxy's certificates, who signed them, how long they hold. Keys are never shown.

import { X509Certificate } from "node:crypto";
import { type Entry, type Json, recordAt, textAt } from "./dump.ts";

export interface SecretRow {
  readonly name: string;
  readonly type: "Cert Chain" | "CA" | "Other";
  readonly state: string;
  readonly valid: boolean;
  readonly serial: string;
  readonly notAfter: string;
  readonly notBefore: string;
}

export function secretRows(entries: readonly Entry[], nowMs: number): readonly SecretRow[] {
  return entries.map(({ name, state, body }) => {
    const chain = recordAt(body, "tlsCertificate", "certificateChain");
    const authority = recordAt(body, "validationContext", "trustedCa");
    const type = Object.keys(chain).length > 0 ? "Cert Chain" : Object.keys(authority).length > 0 ? "CA" : "Other";
    const certificate = readCertificate(type === "Cert Chain" ? chain : authority);
    if (certificate === undefined) {
      return { name, type, state: stateText(state), valid: false, serial: "", notAfter: "", notBefore: "" };
    }
    const { validFromDate, validToDate, serialNumber } = certificate;
    return {
      name,
      type,
      state: stateText(state),
      valid: validFromDate.getTime() <= nowMs && nowMs < validToDate.getTime(),
      serial: serialNumber.toLowerCase(),
      notAfter: validToDate.toISOString().replace(".000", ""),
      notBefore: validFromDate.toISOString().replace(".000", ""),
    };
  });
}

function stateText(state: string): string {
  return state === "warming" ? "WARMING" : "ACTIVE";
}

function readCertificate(source: Json): X509Certificate | undefined {
  const inline = textAt(source, "inlineBytes");
  const text = inline === "" ? textAt(source, "inlineString") : Buffer.from(inline, "base64").toString("utf8");
  try {
    return text === "" ? undefined : new X509Certificate(text);
  } catch {
    return undefined;
  }
}

export const SECRET_HEADER = [
  "RESOURCE NAME",
  "TYPE",
  "STATUS",
  "VALID CERT",
  "SERIAL NUMBER",
  "NOT AFTER",
  "NOT BEFORE",
];

export function secretCells(rows: readonly SecretRow[]): readonly (readonly string[])[] {
  return rows.map(({ name, type, state, valid, serial, notAfter, notBefore }) => [
    name,
    type,
    state,
    String(valid),
    serial,
    notAfter,
    notBefore,
  ]);
}
