// PersistentVolumeClaims are bound at once: the node gives each a directory when a pod mounts it.

import { persistentVolumeClaimKind } from "../api/kubernetes/persistent-volume-claim.ts";
import { type Controller, type ControllerContext, failed, isRace, runController } from "./controller.ts";
import { keyOf, refOf } from "./owner.ts";
import { DONE, type Outcome } from "./work-queue.ts";

export function startVolumeClaims(context: ControllerContext): Controller {
  return runController(context, {
    name: "volumeclaim",
    feed: (feed) => {
      feed.watch(persistentVolumeClaimKind, (claim) => (claim.status?.phase === "Bound" ? [] : [keyOf(claim)]));
    },
    reconcile: (key) => reconcile(key, context),
  });
}

async function reconcile(key: string, { client }: ControllerContext): Promise<Outcome> {
  const ref = refOf(key);
  const found = await client.get(persistentVolumeClaimKind, ref);
  if (!found.ok) return found.error.code === 404 ? DONE : failed("reading the claim", found.error);
  const { spec, metadata, status } = found.value;
  if (status?.phase === "Bound") return DONE;
  const volumeName = `pvc-${metadata.uid ?? ""}`;
  const named = await client.mergePatch(persistentVolumeClaimKind, ref, { body: { spec: { volumeName } } });
  if (!named.ok) return isRace(named.error) ? DONE : failed("binding the claim", named.error);
  const body = {
    status: { phase: "Bound", accessModes: spec.accessModes ?? [], capacity: spec.resources?.requests ?? {} },
  };
  const bound = await client.mergePatch(persistentVolumeClaimKind, ref, { body, subresource: "status" });
  return bound.ok || isRace(bound.error) ? DONE : failed("binding the claim", bound.error);
}
