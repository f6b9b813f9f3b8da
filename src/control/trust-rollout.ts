// Which proxies do not yet run with what the mesh trusts: the bundle that they acknowledged, and the certificate
// that they opened their stream with. A sidecar opens it anew whenever it has another certificate.

import { createHash } from "node:crypto";
import type { KubeClient } from "../api/client.ts";
import { type Pod, podKind } from "../api/kubernetes/pod.ts";
import type { Clock } from "../base/clock.ts";
import type { Authority } from "../ca/authority.ts";
import { type CertificateFacts, readCertificate, verifyChain } from "../identity/chain.ts";
import { Secret } from "../proto/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts";
import type { Connection } from "../serve/server.ts";
import { TRUST_SECRET, trustSecret } from "../translate/trust.ts";

export interface AwaitedProxy {
  /** `POD.NAMESPACE`. */
  readonly proxy: string;
  readonly reason: string;
}

export interface TrustRolloutOptions {
  readonly client: Pick<KubeClient, "list">;
  readonly clock: Clock;
  readonly authority: Authority;
  /** Beside Envoy it is the agent that takes the bundle, on a stream of its own, and hands it on. */
  readonly streams: () => readonly Connection[];
}

export class TrustRollout {
  readonly #options: TrustRolloutOptions;

  constructor(options: TrustRolloutOptions) {
    this.#options = options;
  }

  /** Empty: everybody trusts exactly what is to be trusted, and shows a certificate of the root that signs. */
  async awaited(): Promise<readonly AwaitedProxy[]> {
    const { client, streams } = this.#options;
    // Who showed no identity has no certificate either.
    const connected = Map.groupBy(
      streams().filter(({ proxy }) => proxy.verified),
      nameOf,
    );
    const waiting = [...connected].flatMap(([proxy, own]): readonly AwaitedProxy[] => {
      const reasons = own.map((each) => this.#reason(each));
      const reason = reasons.includes(undefined) ? undefined : reasons.at(-1);
      return reason === undefined ? [] : [{ proxy, reason }];
    });
    const pods = await client.list<Pod>(podKind);
    if (!pods.ok) return [...waiting, { proxy: "all", reason: `pods can't be listed: ${pods.error.message}` }];
    const silent = pods.value
      .filter(hasProxy)
      .map(({ metadata }) => `${metadata.name}.${metadata.namespace ?? "default"}`)
      .filter((name) => !connected.has(name))
      .map((proxy) => ({ proxy, reason: "its proxy runs, but is not connected" }));
    return [...waiting, ...silent].sort((a, b) => (a.proxy < b.proxy ? -1 : 1));
  }

  #reason({ session, statuses, certificate }: Connection): string | undefined {
    const { authority, clock } = this.#options;
    if (!session.watched("secret").includes(TRUST_SECRET)) {
      return `it does not ask for ${TRUST_SECRET}, so that nobody knows what it trusts`;
    }
    const refusal = session.refusals().find(({ resource }) => resource.name === TRUST_SECRET);
    if (refusal !== undefined) return `it refused the bundle: ${refusal.message}`;
    const sent = session.sent("secret").get(TRUST_SECRET);
    const { sentNonce, ackedNonce } = statuses().secret;
    if (sent === undefined || !sent.any.value.equals(encoded(authority)) || sentNonce !== ackedNonce) {
      return "it has not acknowledged the bundle";
    }
    if (certificate === undefined) return "it opened its stream without a certificate";
    const facts = readCertificate(certificate);
    if (!facts.ok) return `its certificate can't be read: ${facts.error}`;
    const verified = verifyChain(facts.value.pem + authority.chainPem, authority.root.pem, clock.wallMs());
    return verified.ok ? undefined : `its certificate is not of the root that signs (${verified.error})`;
  }
}

function encoded({ rootPem, lists }: Authority): Buffer {
  return Buffer.from(Secret.encode(trustSecret({ rootPem, crlPem: lists?.pem })).finish());
}

function nameOf({ proxy }: Connection): string {
  return `${proxy.pod}.${proxy.namespace}`;
}

const PROXY_CONTAINER = "istio-proxy";

function hasProxy({ metadata, spec, status }: Pod): boolean {
  if (metadata.deletionTimestamp !== undefined || status?.phase !== "Running") return false;
  const containers = [...spec.containers, ...(spec.initContainers ?? [])];
  return containers.some(({ name }) => name === PROXY_CONTAINER);
}

/** SHA-256 of the certificate in lower-case hexadecimal. */
export function fingerprintOf({ pem }: CertificateFacts): string {
  const body = pem.replaceAll(/-----[^-]+-----|\s/g, "");
  return createHash("sha256").update(Buffer.from(body, "base64")).digest("hex");
}
