// Creating or changing what manifests describe, in their order, by the three-way merge that kubectl does.

import type { ApiError, KubeClient } from "../api/client.ts";
import type { KubeObject } from "../api/object.ts";
import { canonicalJson } from "../base/equal.ts";
import { isRecord, parseJson } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { Manifest } from "./manifests.ts";

export const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

export type Applied = "created" | "configured" | "unchanged";

export type ApplyClient = Pick<KubeClient, "get" | "create" | "mergePatch">;

export async function applyManifest(client: ApplyClient, manifest: Manifest): Promise<Result<Applied, ApiError>> {
  const { kind, object } = manifest;
  const namespace = kind.namespaced ? (object.metadata.namespace ?? "default") : undefined;
  const ref = { name: object.metadata.name, ...(namespace === undefined ? {} : { namespace }) };
  const applied = canonicalJson(manifest.source);
  const annotated: KubeObject = {
    ...object,
    metadata: {
      ...object.metadata,
      ...(namespace === undefined ? {} : { namespace }),
      annotations: { ...object.metadata.annotations, [LAST_APPLIED]: applied },
    },
  };
  const current = await client.get(kind, ref);
  if (!current.ok) {
    if (current.error.code !== 404) return current;
    const created = await client.create(kind, annotated);
    return created.ok ? ok("created") : created;
  }
  const before = current.value.metadata.annotations?.[LAST_APPLIED];
  const last = before === undefined ? undefined : parseJson(before);
  if (last?.ok === true && canonicalJson(last.value) === applied) return ok("unchanged");
  const body = patchOf(last?.ok === true ? last.value : {}, annotated);
  const patched = await client.mergePatch(kind, ref, { body });
  return patched.ok ? ok("configured") : err(patched.error);
}

/** The manifest itself, with a null for each field that the last one had and this one doesn't. */
export function patchOf(last: unknown, next: unknown): unknown {
  if (!isRecord(next)) return next;
  const patch: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(next)) patch[key] = patchOf(isRecord(last) ? last[key] : undefined, value);
  if (isRecord(last)) {
    for (const key of Object.keys(last)) if (!(key in next)) patch[key] = null;
  }
  return patch;
}
