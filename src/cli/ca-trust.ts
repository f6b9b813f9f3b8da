// The control plane's page about what the mesh trusts, read.

import { recordAt, recordsAt, textAt } from "./dump/dump.ts";
import type { MeshAccess } from "./mesh-access.ts";

export interface Awaited {
  readonly proxy: string;
  readonly reason: string;
}

export interface Root {
  readonly subject: string;
  readonly fingerprint: string;
  readonly notAfter: string;
  readonly signs: boolean;
}

export interface Trust {
  readonly source: "self-signed" | "plugged-in";
  readonly step: "stable" | "trust" | "sign";
  readonly nextStep: "trust" | "sign" | "drop";
  readonly roots: readonly Root[];
  readonly signer: { readonly subject: string; readonly notAfter: string };
  readonly revoked: { readonly certificates: number; readonly staleAt: string } | undefined;
  readonly awaited: readonly Awaited[];
  readonly answered: { readonly id: string; readonly refused: string } | undefined;
}

/** What has been done by each step. */
export const STEP_TEXTS = {
  trust: "a new root is made; everybody is to trust both, the old one signs",
  sign: "the new root signs; everybody trusts both and is to have a new certificate",
  drop: "the new root alone is to be trusted; the old one's key is gone",
} as const;

export async function readTrust(mesh: MeshAccess): Promise<Trust> {
  const page = await mesh.controlPage("/debug/trustz");
  const signer = recordAt(page, "signer");
  const revoked = recordAt(page, "revoked");
  const answered = recordAt(page, "answered");
  const step = textAt(page, "step");
  const next = textAt(page, "nextStep");
  return {
    source: textAt(page, "source") === "plugged-in" ? "plugged-in" : "self-signed",
    step: step === "trust" || step === "sign" ? step : "stable",
    nextStep: next === "sign" || next === "drop" ? next : "trust",
    roots: recordsAt(page, "roots").map((root) => ({
      subject: textAt(root, "subject"),
      fingerprint: textAt(root, "fingerprint"),
      notAfter: textAt(root, "notAfter"),
      signs: root["signs"] === true,
    })),
    signer: { subject: textAt(signer, "subject"), notAfter: textAt(signer, "notAfter") },
    revoked:
      textAt(revoked, "certificates") === ""
        ? undefined
        : { certificates: Number(revoked["certificates"]), staleAt: textAt(revoked, "staleAt") },
    awaited: recordsAt(page, "awaited").map((each) => ({
      proxy: textAt(each, "proxy"),
      reason: textAt(each, "reason"),
    })),
    answered:
      textAt(answered, "id") === "" ? undefined : { id: textAt(answered, "id"), refused: textAt(answered, "refused") },
  };
}
