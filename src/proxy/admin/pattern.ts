// A client's regular expression, bounded.

import { compilePattern } from "../../base/pattern.ts";
import { PATTERN_CHARS_MAX } from "./limits.ts";

export interface Pattern {
  test(text: string): boolean;
}

/** Undefined when it is none (RE2's syntax), or too long. An empty one matches all. */
export function compile(source: string): Pattern | undefined {
  if (source === "") return { test: () => true };
  if (source.length > PATTERN_CHARS_MAX) return undefined;
  const compiled = compilePattern(source);
  if (!compiled.ok) return undefined;
  const { value } = compiled;
  return { test: (text) => value.matcher(text).find() };
}
