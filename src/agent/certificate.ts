// The workload's certificate through its life: asked for at the start, renewed at half-life, kept in memory with its key,
// its public parts written out for people to look at.

import fs from "node:fs";
import path from "node:path";
import { backoffMs } from "../base/backoff.ts";
import type { Clock, Timer } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type CertificateFacts, renewalTimeMs, verifyChain } from "../identity/chain.ts";
import { makeCsr } from "../identity/csr.ts";
import { generateKey, privateKeyToPem } from "../identity/key.ts";
import { splitCertificates } from "../identity/pem.ts";
import { formatSpiffeId } from "../identity/spiffe.ts";
import type { Log } from "../observe/log.ts";
import type { Gauge, Registry } from "../observe/metrics.ts";
import { requestCertificate } from "./ca-client.ts";
import type { SidecarConfig } from "./environment.ts";
import {
  CA_RETRY_BASE_MS,
  CA_RETRY_MAX_MS,
  CERTIFICATE_CHECK_MS,
  RENEWAL_JITTER,
  RENEWAL_SPACING_MS,
} from "./limits.ts";
import { readText } from "./read-text.ts";
import type { LocalSecrets } from "./secrets.ts";

export interface CertificateOptions {
  readonly config: Pick<SidecarConfig, "identity" | "caAddress" | "files">;
  readonly secrets: LocalSecrets;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly registry: Registry;
}

/** Keeps `default` and `ROOTCA` good until stopped. */
export class CertificateKeeper {
  readonly #options: CertificateOptions;
  readonly #expirySeconds: Gauge;
  readonly #asked;
  readonly #refused;
  #held: { readonly facts: CertificateFacts; readonly renewAtMs: number } | undefined;
  #timer: Timer | undefined;
  #failures = 0;
  #stopped = false;

  constructor(options: CertificateOptions) {
    this.#options = options;
    const scope = options.registry.scope({ statPrefix: "", namePrefix: "", labels: {} });
    this.#expirySeconds = scope.gauge("istio_agent_cert_expiry_seconds", { resource_name: "default" });
    this.#asked = scope.counter("istio_agent_num_outgoing_requests", { request_type: "csr" });
    this.#refused = scope.counter("istio_agent_num_failed_outgoing_requests", { request_type: "csr" });
  }

  /** Resolves when the first certificate is there. */
  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#renew(resolve));
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  get facts(): CertificateFacts | undefined {
    return this.#held?.facts;
  }

  /** Called before each scrape. */
  refreshMetrics(): void {
    if (this.#held === undefined) return;
    this.#expirySeconds.set(Math.round((this.#held.facts.notAfterMs - this.#options.clock.wallMs()) / 1000));
  }

  #renew(onFirst: () => void): void {
    this.#asked.inc();
    void this.#fetch().then((result) => {
      if (this.#stopped) return;
      if (result.ok) {
        this.#failures = 0;
        this.#watch(result.value);
        onFirst();
        return;
      }
      this.#refused.inc();
      this.#failures += 1;
      const { random, clock, log } = this.#options;
      const delayMs = backoffMs(this.#failures, { baseMs: CA_RETRY_BASE_MS, maxMs: CA_RETRY_MAX_MS, random });
      const rest = this.#held === undefined ? "" : `; the one in use ${this.#remaining()}`;
      log.warning(`no certificate: ${result.error}${rest}; trying again in ${(delayMs / 1000).toFixed(1)} s`);
      this.#timer = clock.after(delayMs, () => this.#renew(onFirst));
    });
  }

  #watch(facts: CertificateFacts): void {
    const { random, clock, log } = this.#options;
    const jitter = (random() * 2 - 1) * RENEWAL_JITTER;
    const renewAtMs = renewalTimeMs(facts, jitter);
    this.#held = { facts, renewAtMs };
    const until = new Date(facts.notAfterMs).toISOString();
    log.info(
      `certificate for ${facts.uris[0] ?? ""} valid until ${until}, renewal at ${new Date(renewAtMs).toISOString()}`,
    );
    const check = () => {
      const nowMs = clock.wallMs();
      // Before its beginning: the clock was set back, and peers would refuse the certificate.
      if (nowMs >= renewAtMs || nowMs < facts.notBeforeMs) {
        this.#renew(() => undefined);
        return;
      }
      this.#timer = clock.after(Math.min(CERTIFICATE_CHECK_MS, renewAtMs - nowMs), check);
    };
    this.#timer = clock.after(RENEWAL_SPACING_MS, check);
  }

  async #fetch(): Promise<Result<CertificateFacts, string>> {
    const { config, secrets, clock } = this.#options;
    const root = readText(config.files.root);
    if (!root.ok) return err(`the mesh root is not there: ${root.error}`);
    const token = readText(config.files.token);
    if (!token.ok) return err(`the pod's token is not there: ${token.error}`);
    const spiffeId = formatSpiffeId(config.identity);
    const key = generateKey();
    const { caAddress } = config;
    const csrPem = makeCsr(key, spiffeId);
    const answer = await requestCertificate({
      address: caAddress,
      rootPem: root.value,
      token: token.value.trim(),
      csrPem,
    });
    if (!answer.ok) return answer;
    const chainPem = answer.value.slice(0, -1).map(withNewline).join("");
    const bundlePem = uniteBundles(root.value, answer.value.at(-1) ?? "");
    const verified = verifyChain(chainPem, bundlePem, clock.wallMs());
    if (!verified.ok) return err(`${caAddress} sent a chain that doesn't hold: ${verified.error}`);
    if (!verified.value.uris.includes(spiffeId)) {
      return err(`${caAddress} signed ${verified.value.uris.join(", ")}, asked was ${spiffeId}`);
    }
    // Trust first: whoever takes the new certificate must be able to check a peer's.
    secrets.set("ROOTCA", { kind: "trust", bundlePem, crlPem: undefined });
    secrets.set("default", { kind: "certificate", certificateChainPem: chainPem, privateKeyPem: privateKeyToPem(key) });
    this.#publish({ chainPem: chainPem + bundlePem, bundlePem });
    return ok(verified.value);
  }

  /** For people only: nothing depends on these files, and the key is not among them. */
  #publish(text: { readonly chainPem: string; readonly bundlePem: string }): void {
    const directory = this.#options.config.files.certificateDirectory;
    try {
      fs.mkdirSync(directory, { recursive: true });
      fs.writeFileSync(path.join(directory, "cert-chain.pem"), text.chainPem, { mode: 0o644 });
      fs.writeFileSync(path.join(directory, "root-cert.pem"), text.bundlePem, { mode: 0o644 });
    } catch (error) {
      this.#options.log.warning(
        `certificates are not shown in ${directory}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }

  #remaining(): string {
    const leftMs = (this.#held?.facts.notAfterMs ?? 0) - this.#options.clock.wallMs();
    return leftMs > 0 ? `lasts another ${Math.round(leftMs / 60_000)} min` : "has expired";
  }
}

function uniteBundles(first: string, second: string): string {
  return [...new Set([...splitCertificates(first), ...splitCertificates(second)])].join("");
}

function withNewline(pem: string): string {
  return pem.endsWith("\n") ? pem : `${pem}\n`;
}
