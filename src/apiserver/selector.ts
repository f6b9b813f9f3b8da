// Label and field selectors, from their text to a question that an object answers.

import type { Kind } from "../api/kind.ts";
import type { KubeObject } from "../api/object.ts";
import { isRecord } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type ApiFailure, badRequest } from "./status.ts";

export type Predicate = (object: KubeObject) => boolean;

const everything: Predicate = () => true;

export function parseSelectors(
  kind: Kind,
  selectors: { readonly labelSelector?: string | undefined; readonly fieldSelector?: string | undefined },
): Result<Predicate, ApiFailure> {
  const labels = parseLabelSelector(selectors.labelSelector ?? "");
  if (!labels.ok) return labels;
  const fields = parseFieldSelector(kind, selectors.fieldSelector ?? "");
  if (!fields.ok) return fields;
  if (labels.value === everything && fields.value === everything) return ok(everything);
  return ok((object) => labels.value(object) && fields.value(object));
}

const REQUIREMENT =
  /^\s*(?:(!)\s*(?<absent>[^\s!=<>(),]+)|(?<key>[^\s!=<>(),]+)\s*(?:(?<op>==|=|!=|<|>)\s*(?<value>[^\s=(),]*)|\s(?<set>in|notin)\s*\((?<values>[^()]*)\))?)\s*$/;

function parseLabelSelector(text: string): Result<Predicate, ApiFailure> {
  if (text.trim() === "") return ok(everything);
  const predicates: Predicate[] = [];
  // Commas separate requirements, except inside a set's parentheses.
  for (const part of text.split(/,(?![^(]*\))/)) {
    const groups = REQUIREMENT.exec(part)?.groups;
    if (groups === undefined)
      return err(badRequest(`unable to parse requirement: ${JSON.stringify(part)} in label selector`));
    predicates.push(labelPredicate(groups));
  }
  return ok((object) => predicates.every((predicate) => predicate(object)));
}

function labelPredicate(groups: Record<string, string | undefined>): Predicate {
  const { absent, key = "", op, value = "", set, values = "" } = groups;
  const labelOf = (object: KubeObject, name: string): string | undefined => object.metadata.labels?.[name];
  if (absent !== undefined) return (object) => labelOf(object, absent) === undefined;
  if (set !== undefined) {
    const wanted = new Set(values.split(",").map((entry) => entry.trim()));
    const isIn = set === "in";
    return (object) => {
      const actual = labelOf(object, key);
      return actual === undefined ? !isIn : wanted.has(actual) === isIn;
    };
  }
  switch (op) {
    case "=":
    case "==":
      return (object) => labelOf(object, key) === value;
    case "!=":
      return (object) => labelOf(object, key) !== value;
    case ">":
      return (object) => Number(labelOf(object, key)) > Number(value);
    case "<":
      return (object) => Number(labelOf(object, key)) < Number(value);
    default:
      return (object) => labelOf(object, key) !== undefined;
  }
}

const involved = ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"];

/** Beside metadata.name and metadata.namespace, which every kind has. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  pods: [
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
  ],
  events: [
    ...involved.map((field) => `involvedObject.${field}`),
    ...involved.map((field) => `regarding.${field}`),
    "reason",
    "reportingComponent",
    "source",
    "type",
  ],
  secrets: ["type"],
  namespaces: ["status.phase"],
  nodes: ["spec.unschedulable"],
  services: ["spec.clusterIP", "spec.type"],
  replicasets: ["status.replicas"],
};

function parseFieldSelector(kind: Kind, text: string): Result<Predicate, ApiFailure> {
  if (text.trim() === "") return ok(everything);
  const predicates: Predicate[] = [];
  for (const part of text.split(",").filter((piece) => piece.trim() !== "")) {
    const match = /^\s*([^=!\s]+)\s*(==|=|!=)\s*(.*?)\s*$/.exec(part);
    const [, path = "", op = "=", value = ""] = match ?? [];
    if (match === null)
      return err(badRequest(`invalid field selector ${JSON.stringify(part)}: want field=value or field!=value`));
    const known = [
      "metadata.name",
      "metadata.namespace",
      ...(kind.origin === "builtin" ? (FIELDS[kind.plural] ?? []) : (kind.selectableFields ?? [])),
    ];
    if (!known.includes(path)) {
      return err(badRequest(`field label not supported: ${path}; ${kind.plural} know ${known.join(", ")}`));
    }
    const wantEqual = op !== "!=";
    predicates.push((object) => (fieldOf(object, path) === value) === wantEqual);
  }
  return ok((object) => predicates.every((predicate) => predicate(object)));
}

function fieldOf(object: KubeObject, path: string): string {
  if (path === "source") return fieldOf(object, "source.component");
  let current: unknown = object;
  for (const name of path.replace(/^regarding\./, "involvedObject.").split(".")) {
    if (!isRecord(current)) return "";
    current = current[name];
  }
  return current === undefined ? "" : String(current);
}
