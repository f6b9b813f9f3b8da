// The Secret `cacerts`: somebody's own CA, which signs instead of the mesh's root for as long as the Secret is there and holds.

import type { KubeClient } from "../api/client.ts";
import { type Secret, secretKind } from "../api/kubernetes/secret.ts";
import type { Clock } from "../base/clock.ts";
import { err, type Result } from "../base/result.ts";
import { privateKeyFromPem } from "../identity/key.ts";
import type { Authority } from "./authority.ts";
import { makeSigner, type Signer } from "./signer.ts";

const NAME = "cacerts";
const KEYS = {
  certificate: "ca-cert.pem",
  key: "ca-key.pem",
  chain: "cert-chain.pem",
  roots: "root-cert.pem",
  lists: "ca-crl.pem",
} as const;

export interface PluggedOptions {
  readonly client: Pick<KubeClient, "watch">;
  readonly clock: Clock;
  readonly authority: Authority;
  /** Of the control plane. */
  readonly namespace: string;
  readonly log: (level: "info" | "warn", message: string) => void;
}

export interface PluggedCa {
  /** When the Secret that was there at the start, if any, has been taken: before, nothing should be signed. */
  readonly ready: Promise<void>;
  stop(): void;
}

/** Follows the Secret until stopped. A Secret that doesn't hold changes nothing: what signed before goes on. */
export function followPluggedCa(options: PluggedOptions): PluggedCa {
  const { client, authority, namespace, log } = options;
  let latest = 0;
  const change = async (secret: Secret | undefined): Promise<void> => {
    const turn = ++latest;
    const place = `Secret ${namespace}/${NAME}`;
    if (secret === undefined) {
      if (authority.source === "self-signed") return;
      authority.plug(undefined);
      log("warn", `${place} is gone: the mesh's own root signs again; ${ROOTS_DIFFER}`);
      return;
    }
    const signer = await readPlugged(secret, options.clock.wallMs());
    if (turn !== latest) return;
    if (!signer.ok) {
      log("warn", `${place}: ${signer.error}; what signed before goes on`);
      return;
    }
    const before = authority.rootPem;
    authority.plug(signer.value);
    const differ = signer.value.rootsPem === before ? "" : `; ${ROOTS_DIFFER}`;
    const revoked =
      signer.value.lists === undefined ? "" : `; ${signer.value.lists.revoked.size} certificates are revoked`;
    log("info", `${place} signs now: ${signer.value.certificate.subject.replaceAll("\n", ", ")}${revoked}${differ}`);
  };
  const ready = Promise.withResolvers<void>();
  let changing = Promise.resolve();
  const watch = client.watch(secretKind, { namespace, fieldSelector: `metadata.name=${NAME}` }, (event) => {
    if (event.type === "synced") void changing.then(ready.resolve);
    else if (event.object.metadata.name === NAME)
      changing = change(event.type === "deleted" ? undefined : event.object);
  });
  return { ready: ready.promise, stop: () => watch.stop() };
}

const ROOTS_DIFFER =
  "calls fail until every workload has a certificate of the new root: put old and new roots into root-cert.pem while you change them";

async function readPlugged({ data }: Secret, nowMs: number): Promise<Result<Signer, string>> {
  const text = (name: string): string => Buffer.from(data?.[name] ?? "", "base64").toString("utf8");
  const missing = [KEYS.certificate, KEYS.key, KEYS.roots].filter((name) => text(name).trim() === "");
  if (missing.length > 0) return err(`it has no ${missing.join(", ")}`);
  const key = privateKeyFromPem(text(KEYS.key));
  if (!key.ok) return err(`${KEYS.key} holds no private key: ${key.error}`);
  const material = { key: key.value, certificatePem: text(KEYS.certificate) };
  const trust = { rootsPem: text(KEYS.roots), crlPem: text(KEYS.lists) };
  return makeSigner({ ...material, chainPem: text(KEYS.chain), ...trust }, nowMs);
}
