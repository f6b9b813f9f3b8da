// Regular expressions in RE2's syntax, which cannot run away: a Result instead of a throw.

import { RE2JS } from "re2js";
import { err, ok, type Result } from "./result.ts";

export function compilePattern(source: string): Result<RE2JS, string> {
  try {
    return ok(RE2JS.compile(source));
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}
