// The rotation of the mesh's root, step by step: asked for by a ConfigMap, which only who may write to the control plane's
// namespace can do, and taken when no proxy is left behind. What was taken is on the authority's disk.

import type { KubeClient, Watch } from "../api/client.ts";
import { type ConfigMap, configMapKind } from "../api/kubernetes/config-map.ts";
import { isRecord, parseJson } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type Authority, nextStep, type RotationStep } from "../ca/authority.ts";
import { type CertificateFacts, readBundle } from "../identity/chain.ts";
import { DEFAULT_KEY_ALGORITHM, KEY_ALGORITHMS, type KeyAlgorithm, readKeyAlgorithm } from "../identity/key.ts";
import { type AwaitedProxy, fingerprintOf, type TrustRollout } from "./trust-rollout.ts";

const NAME = "istio-ca-rotation";
const KEY = "request";

export interface RotationOptions {
  readonly client: Pick<KubeClient, "watch" | "mergePatch">;
  readonly authority: Authority;
  readonly rollout: Pick<TrustRollout, "awaited">;
  readonly namespace: string;
  readonly log: (level: "info" | "warn", message: string) => void;
}

interface RootStatus {
  readonly subject: string;
  /** SHA-256 in lower-case hexadecimal. */
  readonly fingerprint: string;
  readonly notAfter: string;
  readonly signs: boolean;
}

export interface TrustStatus {
  readonly source: Authority["source"];
  readonly step: Authority["step"];
  readonly nextStep: RotationStep;
  readonly roots: readonly RootStatus[];
  readonly signer: { readonly subject: string; readonly notAfter: string };
  readonly revoked: { readonly certificates: number; readonly staleAt: string } | undefined;
  readonly awaited: readonly AwaitedProxy[];
  /** The last request that was answered by this process; `refused` is empty where it was taken. */
  readonly answered: { readonly id: string; readonly refused: string } | undefined;
}

export interface Rotation {
  status(): Promise<TrustStatus>;
  stop(): void;
}

interface Request {
  readonly id: string;
  readonly step: RotationStep;
  readonly algorithm: KeyAlgorithm;
}

export function followRotation(options: RotationOptions): Rotation {
  const { client, authority, rollout, namespace, log } = options;
  let answered: TrustStatus["answered"];
  let turns = Promise.resolve();
  const answer = async (text: string): Promise<void> => {
    const request = readRequest(text);
    const taken = request.ok ? await take(request.value, options) : request;
    const id = request.ok ? request.value.id : "";
    answered = { id, refused: taken.ok ? "" : taken.error };
    if (taken.ok) log("info", `the rotation of the root is at its step "${authority.step}"`);
    else log("warn", `a step of the root's rotation was refused: ${taken.error}`);
    const cleared = await client.mergePatch(
      configMapKind,
      { namespace, name: NAME },
      { body: { data: { [KEY]: null } } },
    );
    if (!cleared.ok) log("warn", `ConfigMap ${namespace}/${NAME}: ${cleared.error.message}`);
  };
  const watch: Watch = client.watch<ConfigMap>(
    configMapKind,
    { namespace, fieldSelector: `metadata.name=${NAME}` },
    (event) => {
      if (event.type === "synced" || event.type === "deleted" || event.object.metadata.name !== NAME) return;
      const text = event.object.data?.[KEY];
      if (text !== undefined) turns = turns.then(() => answer(text));
    },
  );
  return {
    status: async () => ({ ...statusOf(authority), awaited: await rollout.awaited(), answered }),
    stop: () => watch.stop(),
  };
}

async function take(
  { step, algorithm }: Request,
  { authority, rollout }: RotationOptions,
): Promise<Result<void, string>> {
  // A rotation may begin at any time; what follows needs everybody.
  const waiting = step === "trust" || step !== nextStep(authority.step) ? [] : await rollout.awaited();
  if (waiting.length > 0) {
    const names = waiting.slice(0, NAMED_MAX).map(({ proxy, reason }) => `${proxy} (${reason})`);
    const more = waiting.length > NAMED_MAX ? ` and ${waiting.length - NAMED_MAX} more` : "";
    return err(`these proxies are not ready for it: ${names.join(", ")}${more}`);
  }
  return authority.rotate(step, algorithm);
}

const NAMED_MAX = 5;

function readRequest(text: string): Result<Request, string> {
  const parsed = parseJson(text);
  if (!parsed.ok || !isRecord(parsed.value)) return err(`data.${KEY} is not a JSON object`);
  const { id, step, algorithm = DEFAULT_KEY_ALGORITHM } = parsed.value;
  if (typeof id !== "string") return err(`data.${KEY}: id is missing`);
  if (step !== "trust" && step !== "sign" && step !== "drop") return err(`data.${KEY}: step is trust, sign or drop`);
  const known = readKeyAlgorithm(String(algorithm));
  if (known === undefined) return err(`data.${KEY}: algorithm is one of ${KEY_ALGORITHMS.join(", ")}`);
  return ok({ id, step, algorithm: known });
}

function statusOf(authority: Authority): Omit<TrustStatus, "awaited" | "answered"> {
  const { source, step, signer, root, lists } = authority;
  const roots = readBundle(authority.rootPem);
  return {
    source,
    step,
    nextStep: nextStep(step),
    roots: (roots.ok ? roots.value : []).map((each) => ({
      ...summary(each),
      fingerprint: fingerprintOf(each),
      signs: each.pem === root.pem,
    })),
    signer: summary(signer),
    revoked:
      lists === undefined
        ? undefined
        : { certificates: lists.revoked.size, staleAt: Number.isFinite(lists.staleAtMs) ? iso(lists.staleAtMs) : "" },
  };
}

function summary({ subject, notAfterMs }: CertificateFacts): { readonly subject: string; readonly notAfter: string } {
  return { subject: subject.replaceAll("\n", ", "), notAfter: iso(notAfterMs) };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
