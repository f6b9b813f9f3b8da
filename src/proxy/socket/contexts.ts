// Secure contexts made of named secrets: rebuilt when a secret changes, kept otherwise. Connections that stand are not touched.

import { X509Certificate } from "node:crypto";
import fs from "node:fs";
import tls, { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls";
import { deepEqual } from "../../base/equal.ts";
import { err, ok, type Result } from "../../base/result.ts";
import { watchFiles } from "../../base/watch-file.ts";
import { peerOf } from "./identity.ts";
import type { SecretSource, SecretValue } from "./secret.ts";
import type { PemSource, TlsConfig } from "./tls-config.ts";

let made = 0;

export class TlsContexts {
  readonly config: TlsConfig;
  /** Tells contexts of one cluster apart. */
  readonly id: number;
  /** Goes up whenever a secret changed: what was made of an older one (servers, sessions) is made anew. */
  version = 0;
  readonly #secrets: SecretSource | undefined;
  readonly #stops: (() => void)[] = [];
  #context: SecureContext | undefined;
  #options: SecureContextOptions = {};
  #failure = "";
  #presented: string | undefined;
  #named: readonly { readonly names: readonly string[]; readonly context: SecureContext }[] = [];

  constructor(config: TlsConfig, secrets: SecretSource | undefined) {
    this.config = config;
    made += 1;
    this.id = made;
    this.#secrets = secrets;
    for (const name of namedSecrets(config)) {
      if (secrets !== undefined) this.#stops.push(secrets.onChange(name, () => this.#renew()));
    }
    const files = filesOf(config);
    if (files.length > 0) this.#stops.push(watchFiles(files, config.watchedFolders, () => this.#renew()));
  }

  /** False while a named secret has not arrived. */
  get ready(): boolean {
    return this.get().ok;
  }

  /** The named secrets that have not arrived. */
  get missing(): readonly string[] {
    return namedSecrets(this.config).filter((name) => this.#secrets?.get(name) === undefined);
  }

  /** Whether a client's server name chooses among several certificates. */
  get several(): boolean {
    return this.config.moreCertificates.length + this.config.moreCertificateNames.length > 0;
  }

  get trusts(): boolean {
    const { trustName, trust, systemRoots } = this.config;
    return trustName !== undefined || trust !== undefined || systemRoots;
  }

  get(): Result<SecureContext, string> {
    if (this.#context !== undefined) return ok(this.#context);
    const made = this.#make();
    if (made.ok) this.#context = made.value;
    else this.#failure = made.error;
    return made.ok ? made : err(this.#failure);
  }

  /** Whether a peer's certificate is looked at, by authority or by hash. */
  get checks(): boolean {
    return this.trusts || this.config.hashes.size > 0 || this.config.spkis.size > 0;
  }

  /** The context with the certificate for a server name, where there are several; undefined: the first will do. */
  contextFor(serverName: string): SecureContext | undefined {
    const name = serverName.toLowerCase();
    const parent = name.replace(/^[^.]*/, "*");
    const found =
      this.#named.find((one) => one.names.includes(name)) ?? this.#named.find((one) => one.names.includes(parent));
    return found?.context;
  }

  /** What the context was made of, for a server that makes its own. */
  options(): SecureContextOptions {
    return this.#options;
  }

  /** The certificate's PEM text that is presented now. */
  presentedPem(): string | undefined {
    return this.#presented;
  }

  /** The first URI among that certificate's names. */
  presentedUri(): string | undefined {
    const pem = this.presentedPem();
    return pem === undefined ? undefined : peerOf(new X509Certificate(pem)).uris[0];
  }

  close(): void {
    for (const stop of this.#stops) stop();
  }

  /** A certificate and its key may be written one after the other: until they fit, what was good before stays in use. */
  #renew(): void {
    const before = this.#options;
    const made = this.#make();
    if (!made.ok) {
      this.#failure = made.error;
      return;
    }
    if (this.#context !== undefined && deepEqual(before, this.#options)) return;
    this.#context = made.value;
    this.version += 1;
  }

  #certificate(): Result<SecretValue | undefined, string> {
    const { certificateName, certificate } = this.config;
    if (certificateName !== undefined) {
      const value = this.#secrets?.get(certificateName);
      return value?.kind === "certificate" ? ok(value) : err(`secret ${certificateName} has not arrived`);
    }
    return certificate === undefined ? ok(undefined) : readCertificate(certificate);
  }

  #more(): Result<readonly SecretValue[], string> {
    const more: SecretValue[] = [];
    for (const name of this.config.moreCertificateNames) {
      const value = this.#secrets?.get(name);
      if (value?.kind !== "certificate") return err(`secret ${name} has not arrived`);
      more.push(value);
    }
    for (const one of this.config.moreCertificates) {
      const read = readCertificate(one);
      if (!read.ok) return read;
      more.push(read.value);
    }
    return ok(more);
  }

  #byName(
    certificates: readonly (SecretValue | undefined)[],
    trust: SecretValue | undefined,
  ): readonly { readonly names: readonly string[]; readonly context: SecureContext }[] {
    const named = certificates.flatMap((one) => {
      if (one?.kind !== "certificate") return [];
      const { dnsNames } = peerOf(new X509Certificate(one.certificateChainPem));
      return [{ one, names: dnsNames.map((name) => name.toLowerCase()) }];
    });
    return named.map(({ one, names }) => {
      // For the same name there may be one of another kind of key.
      const others = named.filter((other) => other.one !== one && other.names.some((name) => names.includes(name)));
      const all = [one, ...others.map((other) => other.one)];
      return { names, context: createSecureContext(secureOptions(this.config, all, trust)) };
    });
  }

  #trust(): Result<SecretValue | undefined, string> {
    const { trustName, trust } = this.config;
    if (trustName !== undefined) {
      const value = this.#secrets?.get(trustName);
      return value?.kind === "trust" ? ok(value) : err(`secret ${trustName} has not arrived`);
    }
    if (trust === undefined) return ok(undefined);
    const bundle = readPem(trust.bundle);
    if (!bundle.ok) return bundle;
    const crl = trust.crl === undefined ? undefined : readPem(trust.crl);
    if (crl?.ok === false) return crl;
    return ok({ kind: "trust", bundlePem: bundle.value, crlPem: crl?.value });
  }

  #make(): Result<SecureContext, string> {
    const { config } = this;
    const certificate = this.#certificate();
    if (!certificate.ok) return certificate;
    const trust = this.#trust();
    if (!trust.ok) return trust;
    const more = this.#more();
    if (!more.ok) return more;
    try {
      const options = secureOptions(config, [certificate.value, ...more.value], trust.value);
      const context = createSecureContext(options);
      this.#named = more.value.length === 0 ? [] : this.#byName([certificate.value, ...more.value], trust.value);
      this.#options = options;
      this.#presented = certificate.value?.kind === "certificate" ? certificate.value.certificateChainPem : undefined;
      return ok(context);
    } catch (error) {
      return err(error instanceof Error ? error.message : String(error));
    }
  }
}

export function namedSecrets(config: TlsConfig): readonly string[] {
  const { certificateName, moreCertificateNames, trustName } = config;
  return [certificateName, ...moreCertificateNames, trustName].filter((name) => name !== undefined);
}

function filesOf({ certificate, moreCertificates, trust }: TlsConfig): readonly string[] {
  const more = moreCertificates.flatMap((one) => [one.chain, one.key]);
  const sources = [certificate?.chain, certificate?.key, ...more, trust?.bundle, trust?.crl];
  return sources.flatMap((source) => (source !== undefined && "file" in source ? [source.file] : []));
}

function readPem(source: PemSource): Result<string, string> {
  if ("text" in source) return ok(source.text);
  try {
    return ok(fs.readFileSync(source.file, "utf8"));
  } catch (error) {
    return err(`a certificate file can't be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

type CertificateValue = Extract<SecretValue, { kind: "certificate" }>;

function readCertificate(one: { readonly chain: PemSource; readonly key: PemSource }): Result<SecretValue, string> {
  const chain = readPem(one.chain);
  if (!chain.ok) return chain;
  const key = readPem(one.key);
  return key.ok ? ok({ kind: "certificate", certificateChainPem: chain.value, privateKeyPem: key.value }) : key;
}

/** A context holds one certificate of each kind of key: of several the first. */
function oneOfEachKind(certificates: readonly (SecretValue | undefined)[]): readonly CertificateValue[] {
  const given = certificates.flatMap((one) => (one?.kind === "certificate" ? [one] : []));
  if (given.length < 2) return given;
  const byKind = new Map<string | undefined, CertificateValue>();
  for (const one of given) {
    const kind = new X509Certificate(one.certificateChainPem).publicKey.asymmetricKeyType;
    if (!byKind.has(kind)) byKind.set(kind, one);
  }
  return [...byKind.values()];
}

/** Envoy's defaults, in its order: the runtime's own begins with 256 bits, at a quarter more CPU for bulk. */
const CIPHERS =
  `TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256 ECDHE-ECDSA-AES128-GCM-SHA256
  ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-CHACHA20-POLY1305 ECDHE-ECDSA-AES256-GCM-SHA384
  ECDHE-RSA-AES256-GCM-SHA384`.replace(/\s+/g, ":");

/** Envoy's. The runtime's own begin with a post-quantum group, which takes 2 KB more for each handshake and a twentieth of its time: `ecdh_curves` asks for it. */
const CURVES = "X25519:P-256";

let roots: string[] | undefined;

/** The machine's roots, its own additions among them; without any those that come with the runtime. */
function systemRoots(): string[] | undefined {
  // Bun has no such function.
  roots ??= typeof tls.getCACertificates === "function" ? tls.getCACertificates("system") : [];
  return roots.length === 0 ? undefined : roots;
}

function secureOptions(
  config: TlsConfig,
  certificates: readonly (SecretValue | undefined)[],
  trust: SecretValue | undefined,
): SecureContextOptions {
  const own = oneOfEachKind(certificates);
  const [only] = own;
  const cert = own.length === 1 ? only?.certificateChainPem : own.map((one) => one.certificateChainPem);
  const key = own.length === 1 ? only?.privateKeyPem : own.map((one) => one.privateKeyPem);
  return {
    ...(cert === undefined || own.length === 0 ? {} : { cert }),
    ...(key === undefined || own.length === 0 ? {} : { key }),
    ...(trust?.kind === "trust" ? { ca: trust.bundlePem } : config.systemRoots ? { ca: systemRoots() } : {}),
    ...(trust?.kind === "trust" && trust.crlPem !== undefined ? { crl: trust.crlPem } : {}),
    ciphers: config.ciphers === "" ? CIPHERS : config.ciphers,
    ecdhCurve: config.ecdhCurve === "" ? CURVES : config.ecdhCurve,
    ...(config.signatureAlgorithms === "" ? {} : { sigalgs: config.signatureAlgorithms }),
    ...(config.sessionTimeoutSeconds === 0 ? {} : { sessionTimeout: config.sessionTimeoutSeconds }),
    minVersion: config.minVersion,
    maxVersion: config.maxVersion,
  };
}
