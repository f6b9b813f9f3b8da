// CustomResourceDefinition: a kind that a user brings.

import type { Static } from "typebox";
import { deepEqual } from "../../base/equal.ts";
import { nameColumn } from "../columns.ts";
import { errorIssue, type Issue, warningIssue } from "../issue.ts";
import type { Column, Kind } from "../kind.ts";
import { isDnsLabel, isDnsSubdomain } from "../names.ts";
import type { KubeObject } from "../object.ts";
import { anything, flag, int32, list, mergeList, oneOf, struct, text, texts, workloadCondition } from "./fields.ts";

const names = struct(
  { plural: text, kind: text },
  { singular: text, listKind: text, shortNames: texts, categories: texts },
);
const printerColumn = struct(
  { name: text, type: text, jsonPath: text },
  { description: text, format: text, priority: int32 },
);
export type PrinterColumn = Static<typeof printerColumn>;

const version = struct(
  { name: text, served: flag, storage: flag },
  {
    schema: struct({}, { openAPIV3Schema: anything }),
    subresources: struct(
      {},
      {
        status: anything,
        scale: struct({ specReplicasPath: text, statusReplicasPath: text }, { labelSelectorPath: text }),
      },
    ),
    additionalPrinterColumns: list(printerColumn),
    selectableFields: list(struct({ jsonPath: text }, {})),
    deprecated: flag,
    deprecationWarning: text,
  },
);
export type DefinitionVersion = Static<typeof version>;

const definitionSpec = struct(
  { group: text, names, scope: oneOf("Namespaced", "Cluster"), versions: list(version) },
  {
    conversion: struct({ strategy: oneOf("None", "Webhook") }, { webhook: anything }),
    preserveUnknownFields: flag,
  },
);
const definitionStatus = struct(
  {},
  { conditions: mergeList(workloadCondition, "type"), acceptedNames: names, storedVersions: texts },
);
export type DefinitionStatus = Static<typeof definitionStatus>;

export interface CustomResourceDefinition extends KubeObject {
  readonly spec: Static<typeof definitionSpec>;
  readonly status?: DefinitionStatus;
}

export const customResourceDefinitionKind: Kind<CustomResourceDefinition> = {
  group: "apiextensions.k8s.io",
  versions: ["v1"],
  kind: "CustomResourceDefinition",
  plural: "customresourcedefinitions",
  singular: "customresourcedefinition",
  shortNames: ["crd", "crds"],
  categories: ["api-extensions"],
  namespaced: false,
  origin: "builtin",
  subresources: ["status"],
  summary: "CustomResourceDefinition represents a resource that should be exposed on the API server.",
  schema: struct({ spec: definitionSpec }, { status: definitionStatus }),
  columns: [
    nameColumn,
    { name: "Created At", type: "string", priority: 0, value: ({ metadata }) => metadata.creationTimestamp ?? "" },
  ] satisfies readonly Column<CustomResourceDefinition>[],
  applyDefaults: (definition) => {
    const { names: given } = definition.spec;
    return {
      ...definition,
      spec: {
        conversion: { strategy: "None" },
        ...definition.spec,
        names: { singular: given.kind.toLowerCase(), listKind: `${given.kind}List`, ...given },
      },
    };
  },
  check: checkDefinition,
};

function checkDefinition(
  definition: CustomResourceDefinition,
  previous: CustomResourceDefinition | undefined,
): readonly Issue[] {
  const { spec, metadata } = definition;
  const issues: Issue[] = [];
  if (metadata.name !== `${spec.names.plural}.${spec.group}`) {
    issues.push(errorIssue("metadata.name", 'must be spec.names.plural+"."+spec.group'));
  }
  if (!isDnsSubdomain(spec.group) || !spec.group.includes(".")) {
    issues.push(errorIssue("spec.group", "should be a domain with at least one dot"));
  }
  if (!isDnsLabel(spec.names.plural)) issues.push(errorIssue("spec.names.plural", "must be a DNS-1035 label"));
  const stored = spec.versions.filter(({ storage }) => storage).length;
  if (stored !== 1) {
    issues.push(errorIssue("spec.versions", "must have exactly one version marked as storage version"));
  }
  for (const [index, each] of spec.versions.entries()) {
    if (each.schema?.openAPIV3Schema === undefined) {
      issues.push(errorIssue(`spec.versions[${index}].schema.openAPIV3Schema`, "schemas are required", "required"));
    }
  }
  if (spec.conversion?.strategy === "Webhook") {
    issues.push(
      warningIssue(
        "spec.conversion",
        "conversion webhooks are not called on the local cluster: versions differ in name only",
      ),
    );
  }
  if (previous !== undefined && !deepEqual(identityOf(previous), identityOf(definition))) {
    issues.push(errorIssue("spec", "group, scope, plural and kind are immutable", "immutable"));
  }
  return issues;
}

function identityOf({ spec }: CustomResourceDefinition): unknown {
  return [spec.group, spec.scope, spec.names.plural, spec.names.kind];
}
