// The mesh's root of trust: a self-signed root of its own, kept in the data directory, or a CA that is plugged in.
// The own root is replaced in three steps; whoever takes them sees to it that everybody is ready for the next.

import path from "node:path";
import type { Clock } from "../base/clock.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type CertificateFacts, readCertificate } from "../identity/chain.ts";
import { DEFAULT_KEY_ALGORITHM, type KeyAlgorithm, privateKeyFromPem } from "../identity/key.ts";
import type { RevocationLists } from "./crl.ts";
import { CERTIFICATE_FILE, type Disk, makeRoot, RootFiles, type Roots } from "./roots.ts";
import { makeSigner, type Signer, type SignRequest } from "./signer.ts";

/** What may be done next to the own root: begin, sign with the new one, forget the old one. */
export type RotationStep = "trust" | "sign" | "drop";

/** What signs at this moment: the mesh's own root, or a CA that somebody plugged in. */
export interface Authority {
  readonly trustDomain: string;
  readonly source: "self-signed" | "plugged-in";
  /** Every root that is trusted, the one that vouches for what is signed first. */
  readonly rootPem: string;
  /** What was revoked, by whoever runs the plugged-in CA. */
  readonly lists: RevocationLists | undefined;
  /** The root that vouches for what is signed. */
  readonly root: CertificateFacts;
  /** What follows a leaf on the wire; empty where the root signs by itself. */
  readonly chainPem: string;
  readonly signer: CertificateFacts;
  /** How far the rotation of the own root is. */
  readonly step: Roots["step"];
  /** The signed certificate in PEM. It never outlives what vouches for it. */
  sign(request: SignRequest): Promise<string>;
  /** Signs with this from now on; undefined goes back to the mesh's own root. */
  plug(signer: Signer | undefined): void;
  /** Takes the next step of a rotation, which is on the disk when this resolves; any other is refused. */
  rotate(step: RotationStep, algorithm?: KeyAlgorithm): Promise<Result<void, string>>;
  /** Called after each change of what signs or is trusted. */
  onChange(run: () => void): void;
}

export interface AuthorityOptions {
  /** Kept readable by its owner only; made when missing. */
  readonly directory: string;
  readonly trustDomain: string;
  readonly clock: Clock;
  /** Of a root that has to be made. */
  readonly algorithm?: KeyAlgorithm;
  /** Where it writes; the real one where it isn't said. */
  readonly disk?: Disk;
}

/** Loads the root from `directory`, or makes it there. */
export async function openAuthority(options: AuthorityOptions): Promise<Result<Authority, string>> {
  const { directory, trustDomain, clock, algorithm = DEFAULT_KEY_ALGORITHM } = options;
  const place = `certificate authority in ${directory}`;
  const files = new RootFiles(directory, options.disk);
  const loaded = files.load();
  if (!loaded.ok) return err(`${place}: ${loaded.error}`);
  let roots = loaded.value;
  if (roots === undefined) {
    const made = await makeRoot(trustDomain, algorithm, clock.wallMs());
    if (!made.ok) return err(`${place}: ${made.error}`);
    const kept = files.found(made.value);
    if (!kept.ok) return err(`${place}: ${kept.error}`);
    roots = { step: "stable", current: made.value };
  }
  const own = await readRoots(roots, clock.wallMs());
  if (!own.ok) return err(`${path.join(directory, CERTIFICATE_FILE)}: ${own.error}`);
  if (own.value.signer.root.notAfterMs <= clock.wallMs()) {
    return err(
      `the mesh root certificate expired at ${new Date(own.value.signer.root.notAfterMs).toISOString()}: ` +
        `move ${directory} away to have a new one made; every workload then needs a restart`,
    );
  }
  return ok(new MeshAuthority(options, files, own.value));
}

interface OwnRoots {
  readonly roots: Roots;
  /** By the root that signs; it trusts the other one too while there is one. */
  readonly signer: Signer;
}

async function readRoots(roots: Roots, nowMs: number): Promise<Result<OwnRoots, string>> {
  const signs = roots.step === "sign" ? roots.next : roots.current;
  const other = roots.step === "sign" ? roots.current : roots.step === "trust" ? roots.next : undefined;
  const key = privateKeyFromPem(signs.keyPem);
  if (!key.ok) return err(`its key can't be read: ${key.error}`);
  const facts = readCertificate(signs.certificatePem);
  if (!facts.ok) return facts;
  // One that is over is told as such, by who knows what to do about it.
  const atMs = Math.min(nowMs, facts.value.notAfterMs);
  const rootsPem = signs.certificatePem + (other?.certificatePem ?? "");
  const material = { key: key.value, certificatePem: signs.certificatePem, chainPem: "", rootsPem, crlPem: "" };
  const signer = await makeSigner(material, atMs);
  return signer.ok ? ok({ roots, signer: signer.value }) : signer;
}

class MeshAuthority implements Authority {
  readonly trustDomain: string;
  readonly #clock: Clock;
  readonly #files: RootFiles;
  readonly #listeners: (() => void)[] = [];
  #own: OwnRoots;
  #plugged: Signer | undefined;
  #rotating = false;

  constructor({ trustDomain, clock }: AuthorityOptions, files: RootFiles, own: OwnRoots) {
    this.trustDomain = trustDomain;
    this.#clock = clock;
    this.#files = files;
    this.#own = own;
  }

  get source(): Authority["source"] {
    return this.#plugged === undefined ? "self-signed" : "plugged-in";
  }

  get rootPem(): string {
    return this.#current.rootsPem;
  }

  get lists(): RevocationLists | undefined {
    return this.#current.lists;
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

  get step(): Roots["step"] {
    return this.#own.roots.step;
  }

  sign(request: SignRequest): Promise<string> {
    return this.#current.sign(request, this.#clock.wallMs());
  }

  plug(signer: Signer | undefined): void {
    this.#plugged = signer;
    this.#tell();
  }

  async rotate(step: RotationStep, algorithm = DEFAULT_KEY_ALGORITHM): Promise<Result<void, string>> {
    if (this.#rotating) return err("another step is being taken");
    this.#rotating = true;
    try {
      return await this.#rotate(step, algorithm);
    } finally {
      this.#rotating = false;
    }
  }

  onChange(run: () => void): void {
    this.#listeners.push(run);
  }

  async #rotate(step: RotationStep, algorithm: KeyAlgorithm): Promise<Result<void, string>> {
    if (this.#plugged !== undefined) {
      return err("the CA of the Secret cacerts signs: its roots are rotated where it comes from");
    }
    const { roots } = this.#own;
    const next = nextStep(roots.step);
    if (step !== next) return err(`the next step is ${next}, not ${step}`);
    const nowMs = this.#clock.wallMs();
    const after = await this.#after(roots, algorithm, nowMs);
    if (!after.ok) return after;
    const own = await readRoots(after.value, nowMs);
    if (!own.ok) return own;
    const kept = this.#keep(after.value);
    if (!kept.ok) return kept;
    this.#own = own.value;
    this.#tell();
    return ok(undefined);
  }

  async #after(roots: Roots, algorithm: KeyAlgorithm, nowMs: number): Promise<Result<Roots, string>> {
    switch (roots.step) {
      case "stable": {
        const made = await makeRoot(this.trustDomain, algorithm, nowMs);
        return made.ok ? ok({ step: "trust", current: roots.current, next: made.value }) : made;
      }
      case "trust":
        return ok({ ...roots, step: "sign" });
      case "sign":
        return ok({ step: "stable", current: roots.next });
    }
  }

  #keep(roots: Roots): Result<void, string> {
    return roots.step === "stable" ? this.#files.drop(roots.current) : this.#files.rotate(roots.step, roots.next);
  }

  #tell(): void {
    for (const run of this.#listeners) run();
  }

  get #current(): Signer {
    return this.#plugged ?? this.#own.signer;
  }
}

export function nextStep(step: Roots["step"]): RotationStep {
  return step === "stable" ? "trust" : step === "trust" ? "sign" : "drop";
}
