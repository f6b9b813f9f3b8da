// Certificates for the mTLS cases: one root, two workloads, in the case's own folder.

import { createPublicKey } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { systemClock } from "../src/base/clock.ts";
import { openAuthority } from "../src/ca/authority.ts";
import { generateKey, privateKeyToPem } from "../src/identity/key.ts";

/** Paths, and what is in them. */
interface Identity {
  readonly chain: string;
  readonly key: string;
  readonly certPem: string;
  readonly keyPem: string;
}

export interface CertificateFiles {
  readonly folder: string;
  readonly root: string;
  readonly client: Identity;
  readonly server: Identity;
}

export const CLIENT_ID = "spiffe://cluster.local/ns/production/sa/frontend";
export const SERVER_ID = "spiffe://cluster.local/ns/production/sa/api";
export const SERVER_NAME = "api.production.svc.cluster.local";
const LIFETIME_MS = 3_600_000;

export async function makeCertificates(work: string): Promise<CertificateFiles> {
  const directory = path.join(work, "pki");
  const authority = await openAuthority({ directory, trustDomain: "cluster.local", clock: systemClock });
  if (!authority.ok) throw new Error(authority.error);
  const root = write(directory, "bundle.pem", authority.value.rootPem);
  const issue = async (name: string, spiffeId: string) => {
    const key = generateKey();
    const publicKeyDer = Uint8Array.from(createPublicKey(key).export({ type: "spki", format: "der" }));
    const names = [{ type: "url", value: spiffeId }] as const;
    const chain = await authority.value.sign({ publicKeyDer, names, lifetimeMs: LIFETIME_MS });
    const keyPem = privateKeyToPem(key);
    return {
      chain: write(directory, `${name}.pem`, chain),
      key: write(directory, `${name}-key.pem`, keyPem),
      certPem: chain,
      keyPem,
    };
  };
  return {
    folder: directory,
    root,
    client: await issue("client", CLIENT_ID),
    server: await issue("server", SERVER_ID),
  };
}

function write(directory: string, name: string, text: string): string {
  const file = path.join(directory, name);
  fs.writeFileSync(file, text, { mode: 0o600 });
  return file;
}
