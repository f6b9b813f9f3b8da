// The mesh's own roots on disk: one key and certificate, and while the root is rotated the next one beside it.
// Each step is one file that is replaced as a whole, so that whoever starts after a crash finds the step before or the one after.

import "reflect-metadata";
import nodeFs from "node:fs";
import path from "node:path";
import * as x509 from "@peculiar/x509";
import { isRecord, parseJson } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import { generateKey, type KeyAlgorithm, privateKeyFromPem, privateKeyToPem } from "../identity/key.ts";
import { BACK_DATE_MS, ROOT_LIFETIME_MS } from "./limits.ts";
import { importKey, serialNumber, x509PublicKey } from "./signer.ts";

export interface RootPair {
  readonly keyPem: string;
  readonly certificatePem: string;
}

/** `trust`: both roots are trusted, the current one signs. `sign`: both are trusted, the next one signs. */
export type Roots =
  | { readonly step: "stable"; readonly current: RootPair }
  | { readonly step: "trust" | "sign"; readonly current: RootPair; readonly next: RootPair };

/** The part of node:fs that writes: a test stops it anywhere. */
export interface Disk {
  mkdirSync(path: string, options: { readonly recursive: true; readonly mode: number }): unknown;
  openSync(path: string, flags: string, mode?: number): number;
  writeSync(handle: number, text: string): number;
  fsyncSync(handle: number): void;
  closeSync(handle: number): void;
  renameSync(from: string, to: string): void;
  rmSync(path: string, options: { readonly force: true }): void;
}

const KEY_FILE = "root-key.pem";
export const CERTIFICATE_FILE = "root-cert.pem";
const ROTATION_FILE = "rotation.json";

export class RootFiles {
  readonly directory: string;
  readonly #disk: Disk;

  constructor(directory: string, disk: Disk = nodeFs) {
    this.directory = directory;
    this.#disk = disk;
  }

  /** What an earlier process had begun to finish is finished first. Undefined: nothing is there, and nothing was ever signed. */
  load(): Result<Roots | undefined, string> {
    try {
      this.#disk.mkdirSync(this.directory, { recursive: true, mode: 0o700 });
      const rotation = this.#readRotation();
      if (!rotation.ok) return rotation;
      if (rotation.value?.step === "drop") {
        this.#finish(rotation.value.next);
        return ok({ step: "stable", current: rotation.value.next });
      }
      const current = this.#readCurrent();
      if (!current.ok) return current;
      if (current.value === undefined) return ok(undefined);
      if (rotation.value === undefined) return ok({ step: "stable", current: current.value });
      return ok({ step: rotation.value.step, current: current.value, next: rotation.value.next });
    } catch (error) {
      return err(messageOf(error));
    }
  }

  /** The first root. */
  found(current: RootPair): Result<void, string> {
    return this.#try(() => this.#writeCurrent(current));
  }

  rotate(step: "trust" | "sign", next: RootPair): Result<void, string> {
    return this.#try(() => this.#writeRotation({ step, next }));
  }

  /** The next root becomes the only one; the key of the old one is gone with this. */
  drop(next: RootPair): Result<void, string> {
    return this.#try(() => {
      this.#writeRotation({ step: "drop", next });
      this.#finish(next);
    });
  }

  #finish(next: RootPair): void {
    this.#writeCurrent(next);
    this.#disk.rmSync(this.#path(ROTATION_FILE), { force: true });
    this.#syncDirectory();
  }

  #readCurrent(): Result<RootPair | undefined, string> {
    const certificatePath = this.#path(CERTIFICATE_FILE);
    const keyPath = this.#path(KEY_FILE);
    // The certificate is written last: without it, an earlier start was cut short and nothing was ever signed.
    if (!nodeFs.existsSync(certificatePath)) return ok(undefined);
    if (!nodeFs.existsSync(keyPath)) {
      return err(`${certificatePath} is there but its key ${KEY_FILE} is not: restore it, or remove both`);
    }
    const keyPem = nodeFs.readFileSync(keyPath, "utf8");
    const key = privateKeyFromPem(keyPem);
    if (!key.ok) return err(`${keyPath} holds no private key (${key.error}): restore it, or remove both`);
    return ok({ keyPem, certificatePem: nodeFs.readFileSync(certificatePath, "utf8") });
  }

  #readRotation(): Result<Rotation | undefined, string> {
    const file = this.#path(ROTATION_FILE);
    if (!nodeFs.existsSync(file)) return ok(undefined);
    const parsed = parseJson(nodeFs.readFileSync(file, "utf8"));
    const rotation = parsed.ok ? asRotation(parsed.value) : undefined;
    // Its text has a key in it: what is wrong with it is not repeated.
    if (rotation === undefined) return err(`${file} tells no step of a rotation: restore it`);
    return ok(rotation);
  }

  #writeRotation(rotation: Rotation): void {
    this.#write(ROTATION_FILE, `${JSON.stringify(rotation)}\n`);
  }

  #writeCurrent({ keyPem, certificatePem }: RootPair): void {
    this.#write(KEY_FILE, keyPem);
    this.#write(CERTIFICATE_FILE, certificatePem);
  }

  /** Whole or not at all, on the disk when this returns, for its owner only. */
  #write(name: string, text: string): void {
    const disk = this.#disk;
    const file = this.#path(name);
    const partial = `${file}.new`;
    disk.rmSync(partial, { force: true });
    const handle = disk.openSync(partial, "wx", 0o600);
    try {
      disk.writeSync(handle, text);
      disk.fsyncSync(handle);
    } finally {
      disk.closeSync(handle);
    }
    disk.renameSync(partial, file);
    this.#syncDirectory();
  }

  /** A name is on the disk only when its directory is. */
  #syncDirectory(): void {
    const handle = this.#disk.openSync(this.directory, "r");
    try {
      this.#disk.fsyncSync(handle);
    } finally {
      this.#disk.closeSync(handle);
    }
  }

  #try(run: () => void): Result<void, string> {
    try {
      return ok(run());
    } catch (error) {
      return err(`${this.directory}: ${messageOf(error)}`);
    }
  }

  #path(name: string): string {
    return path.join(this.directory, name);
  }
}

interface Rotation {
  readonly step: "trust" | "sign" | "drop";
  readonly next: RootPair;
}

function asRotation(value: unknown): Rotation | undefined {
  const step = isRecord(value) ? value["step"] : undefined;
  const next = isRecord(value) ? value["next"] : undefined;
  if (step !== "trust" && step !== "sign" && step !== "drop") return undefined;
  if (!isRecord(next)) return undefined;
  const { keyPem, certificatePem } = next;
  if (typeof keyPem !== "string" || typeof certificatePem !== "string") return undefined;
  return { step, next: { keyPem, certificatePem } };
}

/** A self-signed root of its own key. */
export async function makeRoot(
  trustDomain: string,
  algorithm: KeyAlgorithm,
  nowMs: number,
): Promise<Result<RootPair, string>> {
  const key = generateKey(algorithm);
  const signing = await importKey(key);
  if (!signing.ok) return signing;
  const publicKey = x509PublicKey(key);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: `O=${trustDomain}`,
    issuer: `O=${trustDomain}`,
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
  return ok({ keyPem: privateKeyToPem(key), certificatePem: `${certificate.toString("pem")}\n` });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
