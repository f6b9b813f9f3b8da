// The mesh's root of trust: one self-signed key, made once and kept in the data directory, or a CA that is plugged in.

import "reflect-metadata";
import type { KeyObject } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import * as x509 from "@peculiar/x509";
import type { Clock } from "../base/clock.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type CertificateFacts, readCertificate } from "../identity/chain.ts";
import { generateKey, privateKeyFromPem, privateKeyToPem } from "../identity/key.ts";
import { BACK_DATE_MS, ROOT_LIFETIME_MS } from "./limits.ts";
import { importKey, makeSigner, type Signer, type SignRequest, serialNumber, x509PublicKey } from "./signer.ts";

/** What signs at this moment: the mesh's own root, or a CA that somebody plugged in. */
export interface Authority {
  readonly trustDomain: string;
  readonly source: "self-signed" | "plugged-in";
  /** Every root that is trusted. */
  readonly rootPem: string;
  /** The root that vouches for what is signed. */
  readonly root: CertificateFacts;
  /** What follows a leaf on the wire; empty where the root signs by itself. */
  readonly chainPem: string;
  readonly signer: CertificateFacts;
  /** The signed certificate in PEM. It never outlives what vouches for it. */
  sign(request: SignRequest): Promise<string>;
  /** Signs with this from now on; undefined goes back to the mesh's own root. */
  plug(signer: Signer | undefined): void;
  /** Called after each change of what signs. */
  onChange(run: () => void): void;
}

export interface AuthorityOptions {
  /** Kept readable by its owner only; made when missing. */
  readonly directory: string;
  readonly trustDomain: string;
  readonly clock: Clock;
}

const KEY_FILE = "root-key.pem";
const CERTIFICATE_FILE = "root-cert.pem";

/** Loads the root from `directory`, or makes it there. */
export async function openAuthority(options: AuthorityOptions): Promise<Result<Authority, string>> {
  const loaded = await loadOrCreate(options);
  if (!loaded.ok) return err(`certificate authority in ${options.directory}: ${loaded.error}`);
  const { key, rootPem } = loaded.value;
  const root = readCertificate(rootPem);
  if (!root.ok) return err(`${path.join(options.directory, CERTIFICATE_FILE)}: ${root.error}`);
  if (root.value.notAfterMs <= options.clock.wallMs()) {
    return err(
      `the mesh root certificate expired at ${new Date(root.value.notAfterMs).toISOString()}: ` +
        `move ${options.directory} away to have a new one made; every workload then needs a restart`,
    );
  }
  const own = await makeSigner(
    { key, certificatePem: rootPem, chainPem: "", rootsPem: rootPem },
    options.clock.wallMs(),
  );
  if (!own.ok) return err(`certificate authority in ${options.directory}: ${own.error}`);
  return ok(new MeshAuthority(options, own.value));
}

class MeshAuthority implements Authority {
  readonly trustDomain: string;
  readonly #clock: Clock;
  readonly #own: Signer;
  readonly #listeners: (() => void)[] = [];
  #plugged: Signer | undefined;

  constructor({ trustDomain, clock }: AuthorityOptions, own: Signer) {
    this.trustDomain = trustDomain;
    this.#clock = clock;
    this.#own = own;
  }

  get source(): Authority["source"] {
    return this.#plugged === undefined ? "self-signed" : "plugged-in";
  }

  get rootPem(): string {
    return this.#current.rootsPem;
  }

  get root(): CertificateFacts {
    return this.#current.root;
  }

  get chainPem(): string {
    return this.#current.chainPem;
  }

  get signer(): CertificateFacts {
    return this.#current.certificate;
  }

  sign(request: SignRequest): Promise<string> {
    return this.#current.sign(request, this.#clock.wallMs());
  }

  plug(signer: Signer | undefined): void {
    this.#plugged = signer;
    for (const run of this.#listeners) run();
  }

  onChange(run: () => void): void {
    this.#listeners.push(run);
  }

  get #current(): Signer {
    return this.#plugged ?? this.#own;
  }
}

interface RootMaterial {
  readonly key: KeyObject;
  readonly rootPem: string;
}

async function loadOrCreate(options: AuthorityOptions): Promise<Result<RootMaterial, string>> {
  const keyPath = path.join(options.directory, KEY_FILE);
  const certificatePath = path.join(options.directory, CERTIFICATE_FILE);
  try {
    fs.mkdirSync(options.directory, { recursive: true, mode: 0o700 });
    // The certificate is written last: without it, an earlier start was cut short and nothing was ever signed.
    if (!fs.existsSync(certificatePath)) return ok(await create(options, keyPath, certificatePath));
    if (!fs.existsSync(keyPath)) {
      return err(`${certificatePath} is there but its key ${KEY_FILE} is not: restore it, or remove both`);
    }
    const key = privateKeyFromPem(fs.readFileSync(keyPath, "utf8"));
    if (!key.ok) return err(`${keyPath} holds no private key (${key.error}): restore it, or remove both`);
    return ok({ key: key.value, rootPem: fs.readFileSync(certificatePath, "utf8") });
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}

async function create(options: AuthorityOptions, keyPath: string, certificatePath: string): Promise<RootMaterial> {
  const key = generateKey();
  const nowMs = options.clock.wallMs();
  const signing = await importKey(key);
  if (!signing.ok) throw new Error(signing.error);
  const publicKey = x509PublicKey(key);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: `O=${options.trustDomain}`,
    issuer: `O=${options.trustDomain}`,
    notBefore: new Date(nowMs - BACK_DATE_MS),
    notAfter: new Date(nowMs + ROOT_LIFETIME_MS),
    publicKey,
    ...signing.value,
    extensions: [
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      new x509.BasicConstraintsExtension(true, undefined, true),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  const rootPem = `${certificate.toString("pem")}\n`;
  writePrivate(keyPath, privateKeyToPem(key));
  writePrivate(certificatePath, rootPem);
  return { key, rootPem };
}

/** Whole or not at all, on the disk when this returns, for its owner only. */
function writePrivate(file: string, text: string): void {
  const partial = `${file}.new`;
  fs.rmSync(partial, { force: true });
  const handle = fs.openSync(partial, "wx", 0o600);
  try {
    fs.writeSync(handle, text);
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
  fs.renameSync(partial, file);
}
