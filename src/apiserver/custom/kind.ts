// From a definition to a kind like any other: one for each version that is served.

import type { TSchema } from "typebox";
import type { Issue } from "../../api/issue.ts";
import type { Column, Kind } from "../../api/kind.ts";
import type {
  CustomResourceDefinition,
  DefinitionVersion,
  PrinterColumn,
} from "../../api/kubernetes/custom-resource-definition.ts";
import type { KubeObject } from "../../api/object.ts";
import { isRecord } from "../../base/json.ts";
import { parseJsonPath } from "./json-path.ts";
import { brokenRules } from "./rules.ts";
import { type OpenApi, structureOf, valueIssues, withDefaults } from "./schema.ts";

/** The preferred version first. */
export function kindsOf({ spec }: CustomResourceDefinition): readonly Kind[] {
  const served = spec.versions.filter(({ served: isServed }) => isServed).sort((a, b) => rank(b.name) - rank(a.name));
  const schemas = Object.fromEntries(served.map((version) => [version.name, structureOf(openApiOf(version))]));
  return served.map((version) => {
    const others = served.filter((other) => other !== version).map(({ name }) => name);
    return kindOf({ spec, version, versions: [version.name, ...others], schemas });
  });
}

/** v2 before v1, v1 before v1beta1, and that before v1alpha1; names of another form come last. */
function rank(version: string): number {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
  if (match === null) return -1;
  const [, major = "0", stage, minor = "0"] = match;
  const stages = stage === undefined ? 2 : stage === "beta" ? 1 : 0;
  return stages * 1_000_000 + Number(major) * 1_000 + Number(minor);
}

interface Made {
  readonly spec: CustomResourceDefinition["spec"];
  readonly version: DefinitionVersion;
  readonly versions: readonly [string, ...string[]];
  readonly schemas: Readonly<Record<string, TSchema>>;
}

function kindOf({ spec, version, versions, schemas }: Made): Kind {
  const schema = openApiOf(version);
  const { names, group, scope } = spec;
  const { status, scale } = version.subresources ?? {};
  return {
    group,
    versions,
    kind: names.kind,
    plural: names.plural,
    singular: names.singular ?? names.kind.toLowerCase(),
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    namespaced: scope === "Namespaced",
    origin: "custom",
    subresources: [
      ...(status === undefined ? [] : ["status" as const]),
      ...(scale === undefined ? [] : ["scale" as const]),
    ],
    schema: structureOf(schema),
    schemas,
    ...(typeof schema["description"] === "string" ? { summary: schema["description"] } : {}),
    ...(scale === undefined ? {} : { scale }),
    selectableFields: (version.selectableFields ?? []).map(({ jsonPath }) => jsonPath.replace(/^\./, "")),
    ...(version.deprecated === true ? { deprecation: version.deprecationWarning ?? deprecationOf(spec, version) } : {}),
    columns: (version.additionalPrinterColumns ?? []).map(columnOf),
    applyDefaults: (object) => defaulted(object, schema),
    check: (object, previous) => checkObject(object, previous, schema),
  };
}

function deprecationOf({ group, names }: CustomResourceDefinition["spec"], { name }: DefinitionVersion): string {
  return `${group}/${name} ${names.kind} is deprecated`;
}

function openApiOf(version: DefinitionVersion): OpenApi {
  return version.schema?.openAPIV3Schema ?? { type: "object", "x-kubernetes-preserve-unknown-fields": true };
}

/** The identity of an object is not the schema's to default. */
function defaulted(object: KubeObject, schema: OpenApi): KubeObject {
  const made = withDefaults(object, schema);
  const { apiVersion, kind, metadata } = object;
  return isRecord(made) ? { ...made, apiVersion, kind, metadata } : object;
}

function checkObject(object: KubeObject, previous: KubeObject | undefined, schema: OpenApi): readonly Issue[] {
  const issues = valueIssues(object, schema, "");
  // Rules speak of values that have their form.
  return issues.length > 0 ? issues : brokenRules({ value: object, before: previous }, schema, "");
}

const TYPES: Readonly<Record<string, Column<KubeObject>["type"]>> = { integer: "integer", date: "date" };

function columnOf({ name, type, jsonPath, priority = 0 }: PrinterColumn): Column<KubeObject> {
  const read = parseJsonPath(jsonPath) ?? (() => []);
  return {
    name,
    type: TYPES[type] ?? "string",
    priority: priority === 0 ? 0 : 1,
    value: (object) => {
      const values = read(object);
      const [first] = values;
      if (first === undefined) return null;
      if (type === "integer" && typeof first === "number") return first;
      return values.map((value) => (typeof value === "object" ? JSON.stringify(value) : String(value))).join(",");
    },
  };
}
