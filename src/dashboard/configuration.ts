// The configuration view: every resource of the mesh, what its status says, what the analysis says. Values in, values out.

import { stringify } from "yaml";
import type { Finding } from "../analyze/finding.ts";
import type { Condition, KubeObject } from "../api/object.ts";
import { isRecord } from "../base/json.ts";
import { SOURCES } from "../ingest/kinds.ts";
import { formatRef, refOf } from "../model/finding.ts";
import { ROWS_MAX } from "./limits.ts";
import type { Configuration, ConfigurationDetail, ConfigurationRow, NamedResource, ResourceFinding } from "./shapes.ts";
import type { Analyzed } from "./world.ts";

/** Istio's kinds; and of the others those which something is said about. */
export function configurationOf(analyzed: Analyzed): Configuration {
  const shown = analyzed.world.objects.filter(
    (object) => MESH_KINDS.has(object.kind) || analyzed.findings.has(formatRef(refOf(object))),
  );
  const rows = shown.map((object) => rowOf(object, analyzed)).sort(worstFirst);
  return { rows: rows.slice(0, ROWS_MAX), leftOut: Math.max(0, rows.length - ROWS_MAX) };
}

export function configurationDetail(analyzed: Analyzed, wanted: NamedResource): ConfigurationDetail | undefined {
  const object = analyzed.world.objects.find(
    ({ kind, metadata }) =>
      kind === wanted.kind && metadata.name === wanted.name && (metadata.namespace ?? "") === wanted.namespace,
  );
  if (object === undefined || object.kind === "Secret") return undefined;
  return { ...rowOf(object, analyzed), manifest: manifestOf(object) };
}

export function rowOf(object: KubeObject, { findings }: Analyzed): ConfigurationRow {
  const ref = refOf(object);
  return {
    ...ref,
    createdAt: object.metadata.creationTimestamp ?? "",
    conditions: conditionsOf(object).map(({ type, status, reason, message, lastTransitionTime }) => ({
      type,
      status,
      reason,
      message,
      since: lastTransitionTime,
    })),
    findings: (findings.get(formatRef(ref)) ?? []).map(shortened),
  };
}

const MESH_KINDS: ReadonlySet<string> = new Set(
  Object.values(SOURCES).flatMap(({ kind }) => (kind.origin === "custom" ? [kind.kind] : [])),
);

function shortened({ code, name, severity, path, message, next }: Finding): ResourceFinding {
  return { code, name, severity, path, message, next };
}

function worstFirst(one: ConfigurationRow, other: ConfigurationRow): number {
  return (
    badness(other) - badness(one) ||
    compare(one.namespace, other.namespace) ||
    compare(one.kind, other.kind) ||
    compare(one.name, other.name)
  );
}

function badness({ conditions, findings }: ConfigurationRow): number {
  if (findings.some(({ severity }) => severity === "Error") || conditions.some(isBad)) return 2;
  return findings.some(({ severity }) => severity === "Warning") ? 1 : 0;
}

/** Of a conflict the condition is true; all others are good when true. */
function isBad({ type, status }: ConfigurationRow["conditions"][number]): boolean {
  return type === "Conflicted" ? status === "True" : status === "False";
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

function conditionsOf(object: KubeObject): readonly Condition[] {
  const status: unknown = Reflect.get(object, "status");
  const conditions = isRecord(status) ? status["conditions"] : undefined;
  return Array.isArray(conditions) && MESH_KINDS.has(object.kind) ? conditions.filter(isCondition) : [];
}

function isCondition(value: unknown): value is Condition {
  return isRecord(value) && typeof value["type"] === "string" && typeof value["status"] === "string";
}

/** As somebody would have written it: without bookkeeping and status. */
function manifestOf(object: KubeObject): string {
  const { metadata, ...rest } = object;
  const { name, namespace, labels, annotations } = metadata;
  const body = Object.fromEntries(
    Object.entries(rest).filter(([key]) => key !== "status" && key !== "apiVersion" && key !== "kind"),
  );
  const kept = {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(labels === undefined ? {} : { labels }),
    ...(annotations === undefined ? {} : { annotations: withoutApplied(annotations) }),
  };
  return stringify({ apiVersion: object.apiVersion, kind: object.kind, metadata: kept, ...body }, { lineWidth: 0 });
}

function withoutApplied(annotations: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = Object.entries(annotations).filter(
    ([key]) => key !== "kubectl.kubernetes.io/last-applied-configuration",
  );
  return Object.fromEntries(entries);
}
