// The one place where text becomes data: JSON and YAML to `unknown`, never to `any`.

import { isNode, LineCounter, parseAllDocuments } from "yaml";
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
  /** 1-based line of the field at `path`, or of the nearest one above it that is there. */
  lineAt(path: readonly (string | number)[]): number;
}

/** Every non-empty document of a YAML (or JSON) text; the first syntax error with line and column otherwise. */
export function parseYamlDocuments(text: string): Result<readonly YamlDocument[], string> {
  const documents: YamlDocument[] = [];
  const lineCounter = new LineCounter();
  for (const document of parseAllDocuments(text, { lineCounter })) {
    const problem = document.errors[0];
    if (problem !== undefined) return err(problem.message);
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    if (value === null || value === undefined) continue;
    const lineOf = (node: unknown): number | undefined =>
      isNode(node) && node.range ? lineCounter.linePos(node.range[0]).line : undefined;
    const lineAt = (path: readonly (string | number)[]): number => {
      for (let depth = path.length; depth > 0; depth -= 1) {
        const line = lineOf(document.getIn(path.slice(0, depth), true));
        if (line !== undefined) return line;
      }
      return lineOf(document.contents) ?? 1;
    };
    documents.push({ value, line: lineAt([]), lineAt });
  }
  return ok(documents);
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
