// The one place where text becomes data: JSON and YAML to `unknown`, never to `any`.

import { parseAllDocuments } from "yaml";
import { err, ok, type Result } from "./result.ts";

export function parseJson(text: string): Result<unknown, string> {
  try {
    const value: unknown = JSON.parse(text);
    return ok(value);
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}

export interface YamlDocument {
  readonly value: unknown;
  /** 1-based line where the document begins. */
  readonly line: number;
}

/** Every non-empty document of a YAML (or JSON) text; the first syntax error with line and column otherwise. */
export function parseYamlDocuments(text: string): Result<readonly YamlDocument[], string> {
  const documents: YamlDocument[] = [];
  for (const document of parseAllDocuments(text)) {
    const problem = document.errors[0];
    if (problem !== undefined) return err(problem.message);
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    if (value === null || value === undefined) continue;
    const offset = document.contents?.range?.[0] ?? 0;
    documents.push({ value, line: text.slice(0, offset).split("\n").length });
  }
  return ok(documents);
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
