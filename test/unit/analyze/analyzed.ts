// Manifests from a text, analysed as the command does.

import { istioKinds } from "../../../src/api/istio/kinds.ts";
import { kubernetesKinds } from "../../../src/api/kubernetes/kinds.ts";
import type { KubeObject } from "../../../src/api/object.ts";
import { makeRegistry } from "../../../src/api/registry.ts";
import { analyzeManifests } from "../../../src/cli/analyze.ts";
import { checkText } from "../../../src/cluster/manifests.ts";

const registry = makeRegistry([...kubernetesKinds, ...istioKinds]);

export function analyzed(text: string, running: readonly KubeObject[] = []) {
  return analyzeManifests(checkText("in.yaml", text, registry), running).findings;
}

export function objectsOf(text: string): readonly KubeObject[] {
  return checkText("in.yaml", text, registry).manifests.map(({ object }) => object);
}
