// TLS of the control plane's port 15012: its own certificate, renewed while it serves; a client's certificate is
// welcome but not asked of anyone, since a workload's first call has only a token.

import { createPublicKey } from "node:crypto";
import { experimental, type ServerCredentials } from "@grpc/grpc-js";
import type { Clock, Timer } from "../base/clock.ts";
import { readCertificate, renewalTimeMs } from "../identity/chain.ts";
import { generateKey, privateKeyToPem } from "../identity/key.ts";
import type { Authority } from "./authority.ts";
import { RENEWAL_CHECK_MS, SERVER_LIFETIME_MS } from "./limits.ts";

const CONTROL_DNS_NAMES = ["istiod.istio-system.svc", "istiod.istio-system", "istiod", "localhost"] as const;

export interface ServerCertificate {
  readonly chainPem: string;
  readonly privateKeyPem: string;
}

export interface ControlTls {
  /** For one or more grpc-js servers. */
  readonly credentials: ServerCredentials;
  certificate(): ServerCertificate;
  close(): void;
}

export interface ControlTlsOptions {
  readonly authority: Authority;
  readonly clock: Clock;
  /** Called when a renewal fails; the old certificate stays, and it is tried again. */
  readonly onProblem: (message: string) => void;
}

export async function makeControlTls(options: ControlTlsOptions): Promise<ControlTls> {
  const { authority, clock } = options;
  let current = await issueServerCertificate(authority);
  const identityListeners = new Set<IdentityListener>();
  const certificateUpdate = () => ({
    certificate: Buffer.from(current.chainPem),
    privateKey: Buffer.from(current.privateKeyPem),
  });
  const trustListeners = new Set<TrustListener>();
  const trustUpdate = () => ({ caCertificate: Buffer.from(authority.rootPem) });
  const renew = async (): Promise<void> => {
    try {
      current = await issueServerCertificate(authority);
      for (const listener of identityListeners) listener(certificateUpdate());
    } catch (error) {
      options.onProblem(`the control plane's certificate was not renewed: ${String(error)}`);
    }
  };
  const stop = keepFresh(clock, async () => {
    const facts = readCertificate(current.chainPem);
    if (!facts.ok || clock.wallMs() >= renewalTimeMs(facts.value)) await renew();
  });
  authority.onChange(() => {
    for (const listener of trustListeners) listener(trustUpdate());
    void renew();
  });
  const provider: CertificateProvider = {
    // Both answer a little later: grpc-js registers its server only after it asked, and would miss an answer at once.
    addCaCertificateListener: (listener) => {
      trustListeners.add(listener);
      queueMicrotask(() => listener(trustUpdate()));
    },
    removeCaCertificateListener: (listener) => {
      trustListeners.delete(listener);
    },
    addIdentityCertificateListener: (listener) => {
      identityListeners.add(listener);
      queueMicrotask(() => listener(certificateUpdate()));
    },
    removeIdentityCertificateListener: (listener) => {
      identityListeners.delete(listener);
    },
  };
  return {
    // grpc-js 1.14 names the first two parameters the other way round than it uses them: identity first, then trust.
    credentials: experimental.createCertificateProviderServerCredentials(provider, provider, false),
    certificate: () => current,
    close: stop,
  };
}

/** A certificate for the control plane's own names. */
async function issueServerCertificate(authority: Authority): Promise<ServerCertificate> {
  const key = generateKey();
  const leaf = await authority.sign({
    publicKeyDer: new Uint8Array(createPublicKey(key).export({ type: "spki", format: "der" })),
    names: [
      ...CONTROL_DNS_NAMES.map((value) => ({ type: "dns", value }) as const),
      { type: "ip", value: "127.0.0.1" },
      { type: "ip", value: "::1" },
    ],
    lifetimeMs: SERVER_LIFETIME_MS,
  });
  return { chainPem: leaf + authority.chainPem + authority.root.pem, privateKeyPem: privateKeyToPem(key) };
}

type CertificateProvider = Parameters<typeof experimental.createCertificateProviderServerCredentials>[0];
type TrustListener = Parameters<CertificateProvider["addCaCertificateListener"]>[0];
type IdentityListener = Parameters<CertificateProvider["addIdentityCertificateListener"]>[0];

function keepFresh(clock: Clock, check: () => Promise<void>): () => void {
  let timer: Timer;
  const arm = () => {
    timer = clock.after(RENEWAL_CHECK_MS, () => {
      void check();
      arm();
    });
  };
  arm();
  return () => timer.cancel();
}
