// Manifests as the objects that offline commands look at.

import { istioKinds } from "../api/istio/kinds.ts";
import { kubernetesKinds } from "../api/kubernetes/kinds.ts";
import { TEMPLATE_PATHS } from "../api/kubernetes/templates.ts";
import type { KubeObject } from "../api/object.ts";
import { makeRegistry } from "../api/registry.ts";
import { isRecord } from "../base/json.ts";
import { describeFinding, isForeign, readManifests } from "../cluster/manifests.ts";
import { CommandFailure } from "./command.ts";

/**
 * What the API server would take. Workloads are read whatever else is in them, since only their labels, ports and
 * accounts count here; a kind that is not served is named on standard error; any other mistake refuses all.
 */
export function readObjects(paths: readonly string[], namespace: string): readonly KubeObject[] {
  const checked = readManifests(paths, makeRegistry([...kubernetesKinds, ...istioKinds]));
  if (!checked.ok) throw new CommandFailure(checked.error, { next: "Name an existing file or folder with -f." });
  const { manifests, findings, others } = checked.value;
  const errors: string[] = [];
  for (const finding of findings) {
    const isWorkload = TEMPLATE_PATHS[finding.resource.split("/")[0] ?? ""] !== undefined;
    if (isForeign(finding) && isWorkload) continue;
    const isWrong = finding.issue.severity === "error" && !isForeign(finding) && !isWorkload;
    if (isWrong) errors.push(describeFinding(finding));
    else console.error(`Warning: ${describeFinding(finding)}`);
  }
  if (errors.length > 0) throw new CommandFailure(errors.join("\n"), { next: "Correct them and try again." });
  const objects = manifests.map(({ object, source, kind }) => ({
    kind,
    object: object.kind === "Pod" && isRecord(source["status"]) ? { ...object, status: source["status"] } : object,
  }));
  return [
    ...objects.map(({ object, kind }) => (kind.namespaced ? placed(object, namespace) : object)),
    ...others.filter(({ kind }) => TEMPLATE_PATHS[kind] !== undefined).map((each) => placed(each, namespace)),
  ];
}

function placed(object: KubeObject, namespace: string): KubeObject {
  return { ...object, metadata: { ...object.metadata, namespace: object.metadata.namespace ?? namespace } };
}
