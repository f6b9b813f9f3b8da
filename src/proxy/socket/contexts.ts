// Secure contexts made of named secrets: rebuilt when a secret changes, kept otherwise. Connections that stand are not touched.

import { X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls";
import { err, ok, type Result } from "../../base/result.ts";
import { peerOf } from "./identity.ts";
import type { SecretSource, SecretValue } from "./secret.ts";
import type { TlsConfig } from "./tls-config.ts";

export class TlsContexts {
  readonly config: TlsConfig;
  /** Goes up whenever a secret changed: what was made of an older one (servers, sessions) is made anew. */
  version = 0;
  readonly #secrets: SecretSource | undefined;
  readonly #stops: (() => void)[] = [];
  #context: SecureContext | undefined;
  #options: SecureContextOptions = {};
  #failure = "";

  constructor(config: TlsConfig, secrets: SecretSource | undefined) {
    this.config = config;
    this.#secrets = secrets;
    for (const name of [config.certificateName, config.trustName]) {
      if (name === undefined || secrets === undefined) continue;
      this.#stops.push(
        secrets.onChange(name, () => {
          this.#context = undefined;
          this.version += 1;
        }),
      );
    }
  }

  /** False while a named secret has not arrived. */
  get ready(): boolean {
    return this.get().ok;
  }

  get trusts(): boolean {
    return this.config.trustName !== undefined || this.config.trust !== undefined;
  }

  get(): Result<SecureContext, string> {
    if (this.#context !== undefined) return ok(this.#context);
    const made = this.#make();
    if (made.ok) this.#context = made.value;
    else this.#failure = made.error;
    return made.ok ? made : err(this.#failure);
  }

  /** What the context was made of, for a server that makes its own. */
  options(): SecureContextOptions {
    return this.#options;
  }

  /** The certificate's PEM text that is presented now. */
  presentedPem(): string | undefined {
    const found = this.#find(this.config.certificateName, this.config.certificate);
    return found?.kind === "certificate" ? found.certificateChainPem : undefined;
  }

  /** The first URI among that certificate's names. */
  presentedUri(): string | undefined {
    const pem = this.presentedPem();
    return pem === undefined ? undefined : peerOf(new X509Certificate(pem)).uris[0];
  }

  close(): void {
    for (const stop of this.#stops) stop();
  }

  #find(name: string | undefined, inline: SecretValue | undefined): SecretValue | undefined {
    return name === undefined ? inline : this.#secrets?.get(name);
  }

  #make(): Result<SecureContext, string> {
    const { config } = this;
    const certificate = this.#find(config.certificateName, config.certificate);
    const trust = this.#find(config.trustName, config.trust);
    if (config.certificateName !== undefined && certificate?.kind !== "certificate") {
      return err(`secret ${config.certificateName} has not arrived`);
    }
    if (config.trustName !== undefined && trust?.kind !== "trust")
      return err(`secret ${config.trustName} has not arrived`);
    const options = secureOptions(config, certificate, trust);
    try {
      const context = createSecureContext(options);
      this.#options = options;
      return ok(context);
    } catch (error) {
      return err(error instanceof Error ? error.message : String(error));
    }
  }
}

function secureOptions(
  config: TlsConfig,
  certificate: SecretValue | undefined,
  trust: SecretValue | undefined,
): SecureContextOptions {
  return {
    ...(certificate?.kind === "certificate"
      ? { cert: certificate.certificateChainPem, key: certificate.privateKeyPem }
      : {}),
    ...(trust?.kind === "trust" ? { ca: trust.bundlePem } : {}),
    ...(trust?.kind === "trust" && trust.crlPem !== undefined ? { crl: trust.crlPem } : {}),
    ...(config.ciphers === "" ? {} : { ciphers: config.ciphers }),
    ...(config.ecdhCurve === "" ? {} : { ecdhCurve: config.ecdhCurve }),
    minVersion: config.minVersion,
    maxVersion: config.maxVersion,
  };
}
