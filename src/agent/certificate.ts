// The workload's certificate through its life: asked for at the start, renewed at half-life, kept in memory with its key,
// its public parts written out for people to look at.

import fs from "node:fs";
import path from "node:path";
import { createSecureContext } from "node:tls";
import { backoffMs } from "../base/backoff.ts";
import type { Clock, Timer } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type CertificateFacts, readBundle, renewalTimeMs, verifyChain } from "../identity/chain.ts";
import { makeCsr } from "../identity/csr.ts";
import { generateKey, privateKeyToPem } from "../identity/key.ts";
import { splitCertificates } from "../identity/pem.ts";
import { formatSpiffeId } from "../identity/spiffe.ts";
import type { Log } from "../observe/log.ts";
import type { Gauge, Registry } from "../observe/metrics.ts";
import type { SecretValue } from "../proxy/socket/secret.ts";
import { requestCertificate } from "./ca-client.ts";
import type { SidecarConfig } from "./environment.ts";
import {
  CA_RETRY_BASE_MS,
  CA_RETRY_MAX_MS,
  CERTIFICATE_CHECK_MS,
  RENEWAL_SPACING_MS,
  ROOT_CHANGE_SPREAD_MS,
} from "./limits.ts";
import { readText } from "./read-text.ts";
import type { LocalSecrets } from "./secrets.ts";

interface Held {
  readonly facts: CertificateFacts;
  readonly chainPem: string;
}

type TrustValue = Extract<SecretValue, { kind: "trust" }>;

export interface CertificateOptions {
  readonly config: Pick<SidecarConfig, "identity" | "caAddress" | "files" | "certificate">;
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
  #held: Held | undefined;
  /** By the control plane's stream, which from then on is who says whom to trust. */
  #told: TrustValue | undefined;
  #timer: Timer | undefined;
  #asking = false;
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

  /** What the control plane itself is checked against. */
  rootPem(): Result<string, string> {
    return this.#told === undefined ? readText(this.#options.config.files.root) : ok(this.#told.bundlePem);
  }

  /** In force when this returns. Where another root signs now, a certificate of it is asked for. */
  takeTrust(value: TrustValue): Result<void, string> {
    const roots = readBundle(value.bundlePem);
    if (!roots.ok) return err(`the bundle can't be used: ${roots.error}`);
    const usable = bundleProblem(value);
    if (usable !== undefined) return err(`the bundle can't be used: ${usable}`);
    const { secrets, log } = this.#options;
    this.#told = value;
    secrets.set("ROOTCA", value);
    const lists = value.crlPem === undefined ? "" : " and revocation lists";
    log.info(`${roots.value.length} roots${lists} are trusted`);
    if (this.#held === undefined) return ok(undefined);
    this.#publish({ chainPem: this.#held.chainPem, bundlePem: value.bundlePem });
    if (!this.#asking) this.#followRoot();
    return ok(undefined);
  }

  /** Called before each scrape. */
  refreshMetrics(): void {
    if (this.#held === undefined) return;
    this.#expirySeconds.set(Math.round((this.#held.facts.notAfterMs - this.#options.clock.wallMs()) / 1000));
  }

  /** Not all at once: a whole mesh hears of a new root in the same moment. */
  #followRoot(): void {
    const { clock, random, log } = this.#options;
    const [signs = ""] = splitCertificates(this.#told?.bundlePem ?? "");
    if (verifyChain(this.#held?.chainPem ?? "", signs, clock.wallMs()).ok) return;
    this.#timer?.cancel();
    log.info("another root signs now: a certificate of it is asked for");
    this.#timer = clock.after(random() * ROOT_CHANGE_SPREAD_MS, () => this.#renew(() => undefined));
  }

  #renew(onFirst: () => void): void {
    this.#asked.inc();
    this.#asking = true;
    const told = this.#told;
    void this.#fetch().then((result) => {
      this.#asking = false;
      if (this.#stopped) return;
      if (result.ok) {
        this.#failures = 0;
        this.#watch(result.value);
        if (this.#told !== told) this.#followRoot();
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

  #watch({ facts, chainPem }: Held): void {
    const { random, clock, log, config } = this.#options;
    const { graceRatio, graceJitter } = config.certificate;
    const renewAtMs = renewalTimeMs(facts, { graceRatio, jitter: (random() * 2 - 1) * graceJitter });
    this.#held = { facts, chainPem };
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

  async #fetch(): Promise<Result<Held, string>> {
    const { config, secrets } = this.#options;
    const root = this.rootPem();
    if (!root.ok) return err(`the mesh root is not there: ${root.error}`);
    const token = readText(config.files.token);
    if (!token.ok) return err(`the pod's token is not there: ${token.error}`);
    const { caAddress, certificate } = config;
    const key = generateKey(certificate.algorithm);
    const answer = await requestCertificate({
      address: caAddress,
      rootPem: root.value,
      token: token.value.trim(),
      csrPem: makeCsr(key, formatSpiffeId(config.identity)),
      lifetimeSeconds: certificate.lifetimeSeconds,
    });
    if (!answer.ok) return answer;
    const chainPem = answer.value.slice(0, -1).map(withNewline).join("");
    const answered = withNewline(answer.value.at(-1) ?? "");
    const checked = this.#check(chainPem, uniteBundles(root.value, answered));
    if (!checked.ok) return checked;
    // Who is told by the stream goes by that: an answer that was under way may know less than it.
    const trust = this.#told ?? { kind: "trust", bundlePem: answered, crlPem: undefined };
    // Trust first: whoever takes the new certificate must be able to check a peer's.
    secrets.set("ROOTCA", trust);
    secrets.set("default", { kind: "certificate", certificateChainPem: chainPem, privateKeyPem: privateKeyToPem(key) });
    this.#publish({ chainPem, bundlePem: trust.bundlePem });
    return ok({ facts: checked.value, chainPem });
  }

  /** Who sent it was checked against what is trusted here, and vouches for what it adds. */
  #check(chainPem: string, bundlePem: string): Result<CertificateFacts, string> {
    const { caAddress, identity } = this.#options.config;
    const verified = verifyChain(chainPem, bundlePem, this.#options.clock.wallMs());
    if (!verified.ok) return err(`${caAddress} sent a chain that doesn't hold: ${verified.error}`);
    const spiffeId = formatSpiffeId(identity);
    if (verified.value.uris.includes(spiffeId)) return verified;
    return err(`${caAddress} signed ${verified.value.uris.join(", ")}, asked was ${spiffeId}`);
  }

  /** For people only: nothing depends on these files, and the key is not among them. */
  #publish(text: { readonly chainPem: string; readonly bundlePem: string }): void {
    const directory = this.#options.config.files.certificateDirectory;
    try {
      fs.mkdirSync(directory, { recursive: true });
      fs.writeFileSync(path.join(directory, "cert-chain.pem"), text.chainPem + text.bundlePem, { mode: 0o644 });
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

/** What node:tls would not take would end all connections. */
function bundleProblem({ bundlePem, crlPem }: TrustValue): string | undefined {
  try {
    createSecureContext({ ca: bundlePem, ...(crlPem === undefined ? {} : { crl: crlPem }) });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function uniteBundles(first: string, second: string): string {
  return [...new Set([...splitCertificates(first), ...splitCertificates(second)])].join("");
}

function withNewline(pem: string): string {
  return pem.endsWith("\n") ? pem : `${pem}\n`;
}
