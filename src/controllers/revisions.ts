// The templates that a StatefulSet or DaemonSet has had: one ControllerRevision each, the newest with the highest number.

import { type ControllerRevision, controllerRevisionKind } from "../api/kubernetes/controller-revision.ts";
import type { PodTemplate } from "../api/kubernetes/pod-spec.ts";
import type { KubeObject } from "../api/object.ts";
import { canonicalJson, deepEqual } from "../base/equal.ts";
import { isRecord } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type ControllerContext, isRace } from "./controller.ts";
import { shortHash } from "./names.ts";
import { controllerReference, isControlledBy, keyOf, refOf } from "./owner.ts";

export const REVISION_LABEL = "controller-revision-hash";

interface Owner extends KubeObject {
  readonly spec: { readonly template: PodTemplate; readonly revisionHistoryLimit?: number };
}

export interface Revisions {
  readonly update: ControllerRevision;
  /** Oldest first, the newest among them. */
  readonly all: readonly ControllerRevision[];
}

/** Makes the present template's revision if it has none yet, and gives an older one that fits the highest number. */
export async function ensureRevision(owner: Owner, context: ControllerContext): Promise<Result<Revisions, string>> {
  const { namespace } = owner.metadata;
  const listed = await context.client.list(controllerRevisionKind, namespace === undefined ? {} : { namespace });
  if (!listed.ok) return err(`listing ControllerRevisions: ${listed.error.message}`);
  const known = listed.value.filter((each) => isControlledBy(each, owner)).sort((a, b) => a.revision - b.revision);
  const data = dataOf(owner.spec.template);
  const highest = known.at(-1)?.revision ?? 0;
  const fitting = known.find((each) => deepEqual(each.data, data));
  if (fitting !== undefined && fitting.revision === highest) return ok({ update: fitting, all: known });
  const written =
    fitting === undefined
      ? await context.client.create(controllerRevisionKind, revisionOf(owner, data, highest + 1))
      : await context.client.update(controllerRevisionKind, { ...fitting, revision: highest + 1 });
  if (!written.ok) return err(`writing a ControllerRevision: ${written.error.message}`);
  return ok({ update: written.value, all: [...known.filter((each) => each !== fitting), written.value] });
}

/** As a patch of the owner, which is what `kubectl rollout undo` makes of it. */
function dataOf(template: PodTemplate): Readonly<Record<string, unknown>> {
  return { spec: { template: { ...template, $patch: "replace" } } };
}

function revisionOf(owner: Owner, data: Readonly<Record<string, unknown>>, revision: number): ControllerRevision {
  const hash = shortHash(canonicalJson(data));
  return {
    apiVersion: "apps/v1",
    kind: "ControllerRevision",
    metadata: {
      name: `${owner.metadata.name}-${hash}`,
      ...(owner.metadata.namespace === undefined ? {} : { namespace: owner.metadata.namespace }),
      labels: { ...owner.spec.template.metadata?.labels, [REVISION_LABEL]: hash },
      ownerReferences: [controllerReference(owner)],
    },
    data,
    revision,
  };
}

/** The template as it was; the present one where the revision holds none. */
export function templateIn(revision: ControllerRevision, present: PodTemplate): PodTemplate {
  const spec = revision.data?.["spec"];
  const template = isRecord(spec) ? spec["template"] : undefined;
  return isTemplate(template) ? withoutDirective(template) : present;
}

/** Only `revisionOf` writes it, from a template that was stored. */
function isTemplate(value: unknown): value is PodTemplate & { readonly $patch?: string } {
  return isRecord(value) && isRecord(value["spec"]);
}

function withoutDirective({ $patch: _, ...template }: PodTemplate & { readonly $patch?: string }): PodTemplate {
  return template;
}

/** Lets go of the oldest revisions that no pod has, beyond what the owner wants kept. */
export async function trimRevisions(
  owner: Owner,
  { all, update }: Revisions,
  { used, context }: { readonly used: ReadonlySet<string>; readonly context: ControllerContext },
): Promise<string | undefined> {
  const idle = all.filter((each) => each !== update && !used.has(each.metadata.name));
  const surplus = idle.slice(0, Math.max(0, idle.length - (owner.spec.revisionHistoryLimit ?? 10)));
  for (const revision of surplus) {
    const removed = await context.client.remove(controllerRevisionKind, refOf(keyOf(revision)));
    if (!removed.ok && !isRace(removed.error)) return `removing a ControllerRevision: ${removed.error.message}`;
  }
  return undefined;
}
