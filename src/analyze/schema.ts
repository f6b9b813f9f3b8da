// What each kind's own rules warn of: deprecated fields, fields without effect, fields that only weft has.

import { istioKinds } from "../api/istio/kinds.ts";
import { MESH_CONFIG_NAME } from "../api/istio/mesh-config.ts";
import type { KubeObject } from "../api/object.ts";
import { makeRegistry } from "../api/registry.ts";
import { validateStructure } from "../api/validate.ts";
import { refOf } from "../model/finding.ts";
import { leaves } from "./fields.ts";
import { type Finding, finding } from "./finding.ts";
import type { World } from "./world.ts";

const registry = makeRegistry(istioKinds);

export function analyzeSchema(world: World, previous: readonly KubeObject[]): readonly Finding[] {
  return world.objects.flatMap((object) => {
    const kind = registry.byApiVersion(object.apiVersion, object.kind);
    if (kind === undefined) return [];
    const before = previous.find(
      (each) =>
        each.kind === object.kind &&
        each.metadata.name === object.metadata.name &&
        each.metadata.namespace === object.metadata.namespace,
    );
    const resource = refOf(object);
    const structure = validateStructure(kind, object);
    const issues = [...structure.issues, ...(kind.check?.(structure.object, before) ?? [])].filter(
      // That has a code of its own.
      ({ path }) => !(object.kind === "AuthorizationPolicy" && path === "spec.rules"),
    );
    const found = issues.map(({ severity, path, message }) => {
      if (severity === "error") return finding("IST0106", { resource, path }, `Schema validation error: ${message}`);
      const replacement = /\bis deprecated; it (counts as (\w+))/.exec(message);
      if (replacement === null) return finding("IST0133", { resource, path }, `Schema validation warning: ${message}`);
      const [, counts = "", field = ""] = replacement;
      const detail = `${lastField(path)} ${counts} (Istio reads it nowhere)`;
      return finding("IST0002", { resource, path }, `Deprecated: ${detail}`, `Write ${field} instead.`);
    });
    return [...found, ...foreignFields(object)];
  });
}

/** The text in the ConfigMap: its fields have no line of their own in the manifest. */
export function analyzeMeshConfig({ snapshot }: World): readonly Finding[] {
  const { meshSource, mesh } = snapshot;
  const resource = { kind: "ConfigMap", namespace: mesh.rootNamespace, name: MESH_CONFIG_NAME };
  return meshSource.issues.map(({ severity, path, message }) => {
    const text = `MeshConfig: ${path === "" ? "" : `${path}: `}${message}`;
    return severity === "error"
      ? finding("IST0106", { resource, path: "data.mesh" }, `Schema validation error: ${text}`)
      : finding("IST0133", { resource, path: "data.mesh" }, `Schema validation warning: ${text}`);
  });
}

const ONLY_HERE = ["minRequestVolume", "consecutiveConnectFailure"];

function foreignFields(object: KubeObject): readonly Finding[] {
  if (object.kind !== "DestinationRule") return [];
  const spec: unknown = Reflect.get(object, "spec");
  return leaves(spec, "spec")
    .filter((path) => ONLY_HERE.includes(lastField(path)))
    .map((path) =>
      finding(
        "WEFT0107",
        { resource: refOf(object), path },
        `${lastField(path)} is a field of weft's: it works here, and Istio's API server refuses the manifest`,
        "Keep it out of manifests that Istio shall read too.",
      ),
    );
}

function lastField(path: string): string {
  return path.split(".").at(-1) ?? path;
}
