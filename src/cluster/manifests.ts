// Manifests from files: every document with its place, checked as the API server will check it, before anything starts.

import { readdirSync, readFileSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Issue } from "../api/issue.ts";
import type { Kind } from "../api/kind.ts";
import type { KubeObject } from "../api/object.ts";
import type { Registry } from "../api/registry.ts";
import { checkMetadata, validateStructure } from "../api/validate.ts";
import { isRecord, parseYamlDocuments } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import { MANIFEST_BYTES_MAX, STANDARD_INPUT_POLL_MS } from "./limits.ts";

export interface Manifest {
  readonly file: string;
  readonly line: number;
  /** Of the field at a path, or the nearest above it that is there. */
  lineAt(path: string): number;
  /** As it was written. */
  readonly source: Readonly<Record<string, unknown>>;
  /** With an API version, a kind and a name at least. */
  readonly object: KubeObject;
  readonly kind: Kind;
}

/** One thing that is wrong, where. */
export interface Finding {
  readonly file: string;
  readonly line: number;
  /** `VirtualService/api`, or empty where it isn't known. */
  readonly resource: string;
  readonly issue: Issue;
}

export interface CheckedManifests {
  readonly manifests: readonly Manifest[];
  readonly findings: readonly Finding[];
  /** Named objects that are not among the manifests: their kind is not served, or a finding says what is wrong. */
  readonly others: readonly KubeObject[];
}

/** The finding of an object whose kind is not served: no mistake in the manifest itself. */
export function isForeign({ issue }: Finding): boolean {
  return issue.path === "kind" && issue.reason === "unsupported";
}

/** Files as named; of folders their YAML and JSON files, by name; `-` is standard input. */
function listFiles(path: string): Result<readonly string[], string> {
  if (path === "-") return ok([path]);
  try {
    if (!statSync(path).isDirectory()) return ok([path]);
    const files = readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.(ya?ml|json)$/.test(entry.name))
      .map((entry) => join(path, entry.name))
      .sort();
    return files.length === 0 ? err(`${path} holds no .yaml, .yml or .json file`) : ok(files);
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}

export function readManifests(paths: readonly string[], registry: Registry): Result<CheckedManifests, string> {
  const manifests: Manifest[] = [];
  const findings: Finding[] = [];
  const others: KubeObject[] = [];
  for (const path of paths) {
    const files = listFiles(path);
    if (!files.ok) return files;
    for (const file of files.value) {
      const text = readText(file);
      if (!text.ok) return text;
      const checked = checkText(file, text.value, registry);
      manifests.push(...checked.manifests);
      findings.push(...checked.findings);
      others.push(...checked.others);
    }
  }
  return ok({ manifests, findings, others });
}

export function checkText(file: string, text: string, registry: Registry): CheckedManifests {
  const parsed = parseYamlDocuments(text);
  if (!parsed.ok) {
    const line = Number(/at line (\d+)/.exec(parsed.error)?.[1] ?? 1);
    return { manifests: [], findings: [{ file, line, resource: "", issue: broken(parsed.error) }], others: [] };
  }
  const manifests: Manifest[] = [];
  const findings: Finding[] = [];
  const others: KubeObject[] = [];
  for (const document of parsed.value) {
    for (const { value, prefix } of unfold(document.value)) {
      const lineAt = (path: string): number => document.lineAt([...prefix, ...keysOf(path)]);
      const checked = checkObject(value, registry);
      const resource = resourceName(value);
      findings.push(...checked.issues.map((issue) => ({ file, line: lineAt(issue.path), resource, issue })));
      if (checked.manifest !== undefined) manifests.push({ ...checked.manifest, file, line: lineAt(""), lineAt });
      else others.push(...namedObject(value));
    }
  }
  return { manifests, findings, others };
}

/** `file:line: Kind/name: path: message`, as compilers write it. */
export function describeFinding(finding: Finding): string {
  const { issue } = finding;
  const what = issue.message === "" ? (issue.reason === "required" ? "is required" : "is wrong") : issue.message;
  return [`${finding.file}:${finding.line}`, finding.resource, issue.path, what]
    .filter((part) => part !== "")
    .join(": ");
}

interface CheckedObject {
  readonly issues: readonly Issue[];
  readonly manifest: Omit<Manifest, "file" | "line" | "lineAt"> | undefined;
}

function checkObject(value: unknown, registry: Registry): CheckedObject {
  const refuse = (path: string, message: string): CheckedObject => ({
    issues: [{ severity: "error", path, message, reason: "invalid" }],
    manifest: undefined,
  });
  if (!isRecord(value)) return refuse("", "a Kubernetes object is expected");
  const { apiVersion, kind: kindName } = value;
  if (typeof apiVersion !== "string" || apiVersion === "") return refuse("apiVersion", "apiVersion is not set");
  if (typeof kindName !== "string" || kindName === "") return refuse("kind", "kind is not set");
  const kind = registry.byApiVersion(apiVersion, kindName);
  if (kind === undefined) {
    const message = `weft does not serve the kind ${kindName} of ${apiVersion}`;
    return { issues: [{ severity: "error", path: "kind", message, reason: "unsupported" }], manifest: undefined };
  }
  const { issues, object } = validateStructure(kind, withoutStatus(kind, value));
  if (issues.some((issue) => issue.severity === "error")) return { issues, manifest: undefined };
  if (typeof object.metadata?.name !== "string") return refuse("metadata.name", "name is required");
  const complete = kind.applyDefaults?.(object) ?? object;
  const all = [...issues, ...checkMetadata(object.metadata), ...(kind.check?.(complete, undefined) ?? [])];
  const good = all.every((issue) => issue.severity !== "error");
  return { issues: all, manifest: good ? { source: value, object, kind } : undefined };
}

function namedObject(value: unknown): readonly KubeObject[] {
  if (!isRecord(value) || !isRecord(value["metadata"])) return [];
  const { apiVersion, kind, metadata } = value;
  const { name } = metadata;
  if (typeof apiVersion !== "string" || typeof kind !== "string" || typeof name !== "string") return [];
  return [{ ...value, apiVersion, kind, metadata: { ...metadata, name } }];
}

/** Whoever writes an object doesn't write its status: the API server drops it too. */
function withoutStatus(kind: Kind, value: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (!kind.subresources.includes("status")) return value;
  const { status: _status, ...rest } = value;
  return rest;
}

/** The items of a List one by one, each with where it is in the document. */
function unfold(value: unknown): readonly { readonly value: unknown; readonly prefix: readonly (string | number)[] }[] {
  if (!isRecord(value) || value["kind"] !== "List" || !Array.isArray(value["items"])) return [{ value, prefix: [] }];
  return value["items"].map((item: unknown, index) => ({ value: item, prefix: ["items", index] }));
}

function keysOf(path: string): readonly (string | number)[] {
  return [...path.matchAll(/\[(\d+)\]|\[([^\]]*)\]|([^.[\]]+)/g)].map((match) =>
    match[1] === undefined ? (match[2] ?? match[3] ?? "") : Number(match[1]),
  );
}

function resourceName(value: unknown): string {
  if (!isRecord(value)) return "";
  const metadata = value["metadata"];
  const name = isRecord(metadata) && typeof metadata["name"] === "string" ? metadata["name"] : "";
  return typeof value["kind"] === "string" ? `${value["kind"]}/${name}` : name;
}

function broken(message: string): Issue {
  // The parser adds the lines around the fault, with a marker: the first line says it all.
  const first = message.split("\n")[0] ?? message;
  return { severity: "error", path: "", message: `not YAML: ${first.replace(/:$/, "")}`, reason: "invalid" };
}

function readText(file: string): Result<string, string> {
  try {
    const text = file === "-" ? readStandardInput() : readFileSync(file, "utf8");
    if (text.length > MANIFEST_BYTES_MAX) return err(`${file} is larger than ${MANIFEST_BYTES_MAX} bytes`);
    return ok(text);
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}

/** A pipe whose writer has nothing yet is an error to whoever reads it as a file. */
function readStandardInput(): string {
  const parts: Buffer[] = [];
  const part = Buffer.alloc(64 * 1024);
  const never = new Int32Array(new SharedArrayBuffer(4));
  for (let bytes = 0; bytes <= MANIFEST_BYTES_MAX; ) {
    try {
      const count = readSync(0, part);
      if (count === 0) break;
      parts.push(Buffer.from(part.subarray(0, count)));
      bytes += count;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error;
      Atomics.wait(never, 0, 0, STANDARD_INPUT_POLL_MS);
    }
  }
  return Buffer.concat(parts).toString("utf8");
}
