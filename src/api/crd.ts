// A kind as a CustomResourceDefinition, with the structural schema that Kubernetes asks for.

import type { Kind } from "./kind.ts";
import { openApiSchema } from "./open-api.ts";
import { objectSchema, type SchemaNode } from "./validate.ts";

export function customResourceDefinition(kind: Kind): object {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: {
      name: `${kind.plural}.${kind.group}`,
      // Whoever takes the mesh away does not want to lose what describes it.
      annotations: { "helm.sh/resource-policy": "keep" },
      labels: { app: "weft" },
    },
    spec: {
      group: kind.group,
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        singular: kind.singular,
        ...(kind.shortNames.length === 0 ? {} : { shortNames: kind.shortNames }),
        ...(kind.categories.length === 0 ? {} : { categories: kind.categories }),
      },
      scope: kind.namespaced ? "Namespaced" : "Cluster",
      versions: kind.versions.map((version, index) => ({
        name: version,
        served: true,
        storage: index === 0,
        ...(kind.subresources.includes("status") ? { subresources: { status: {} } } : {}),
        additionalPrinterColumns: kind.columns.flatMap(({ name, type, jsonPath, priority }) =>
          // The name is always printed.
          jsonPath === undefined ? [] : [{ name, type, jsonPath, ...(priority === 0 ? {} : { priority }) }],
        ),
        schema: { openAPIV3Schema: structuralSchema(kind, version) },
      })),
    },
  };
}

/** `apiVersion`, `kind` and `metadata` are Kubernetes' own; the status may have what another control plane writes. */
function structuralSchema(kind: Kind, version: string): object {
  const {
    apiVersion: _version,
    kind: _kind,
    metadata: _metadata,
    status,
    ...own
  } = objectSchema(kind, version).properties ?? {};
  const preserved: SchemaNode = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  const properties = status === undefined ? own : { ...own, status: preserved };
  const required = (objectSchema(kind, version).required ?? []).filter((name) => Object.hasOwn(own, name));
  return {
    ...(kind.summary === undefined ? {} : { description: kind.summary }),
    ...openApiSchema({ type: "object", required, properties }),
  };
}
