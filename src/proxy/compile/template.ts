// Path templates (`/videos/{id}/**`): a match as one regular expression, and a rewrite that puts its captures elsewhere.

import { RE2JS } from "re2js";
import { err, ok, type Result } from "../../base/result.ts";

/** Envoy's bounds: how many variables a template may have, and how long a name may be. */
const VARIABLES_MAX = 5;
const NAME_CHARS_MAX = 16;

/** What a segment may hold, as a character class without its brackets. */
const SEGMENT = "a-zA-Z0-9\\-._~%!$&'()+,;:@=";
const GLOB: Readonly<Record<string, string>> = { "*": `[${SEGMENT}]+`, "**": `[${SEGMENT}/]*` };

export interface PathTemplate {
  /** The pattern's variables, in order. */
  readonly names: readonly string[];
  matches(path: string): boolean;
  /** Variable to text; undefined: the path doesn't match. */
  capture(path: string): ReadonlyMap<string, string> | undefined;
}

export function compileTemplate(text: string): Result<PathTemplate, string> {
  if (!text.startsWith("/")) return err("a path template begins with /");
  const parsed = parse(text);
  if (!parsed.ok) return parsed;
  const { names, source } = parsed.value;
  const regex = RE2JS.compile(source);
  return ok({
    names,
    matches: (path) => regex.matches(path),
    capture: (path) => {
      const matcher = regex.matcher(path);
      if (!matcher.matches()) return undefined;
      return new Map(names.map((name, index) => [name, matcher.group(index + 1) ?? ""]));
    },
  });
}

interface Parsed {
  readonly names: string[];
  source: string;
  ended: boolean;
}

function parse(text: string): Result<Parsed, string> {
  const parsed: Parsed = { names: [], source: "", ended: false };
  let at = 0;
  while (at < text.length) {
    const close = text[at] === "{" ? text.indexOf("}", at) : -1;
    if (text[at] === "{" && close === -1) return err("a variable has no closing }");
    const problem =
      close === -1 ? plain(parsed, text.slice(at, literalEnd(text, at))) : variable(parsed, text.slice(at + 1, close));
    if (problem !== "") return err(problem);
    at = close === -1 ? literalEnd(text, at) : close + 1;
  }
  return ok(parsed);
}

function literalEnd(text: string, start: number): number {
  const next = text.indexOf("{", start);
  return next === -1 ? text.length : next;
}

/** Text with globs and no variables. */
function plain(parsed: Parsed, text: string): string {
  for (const part of text.split(/(\*+)/)) {
    if (part === "") continue;
    if (!part.startsWith("*")) {
      if (/[^a-zA-Z0-9\-._~%!$&'()+,;:@=/]/.test(part)) return `a character that a path may not have in "${part}"`;
      if (part.includes("//")) return "a template has no empty segments";
      parsed.source += part.replace(/[.$()+]/g, "\\$&");
      continue;
    }
    const glob = GLOB[part];
    if (glob === undefined) return `"${part}" is neither * nor **`;
    if (parsed.ended) return "nothing that matches may follow **";
    parsed.source += glob;
    if (part === "**") parsed.ended = true;
  }
  return "";
}

function variable(parsed: Parsed, text: string): string {
  const equals = text.indexOf("=");
  const name = equals === -1 ? text : text.slice(0, equals);
  const pattern = equals === -1 ? "*" : text.slice(equals + 1);
  if (!/^[a-zA-Z][a-zA-Z0-9_]*$/.test(name) || name.length > NAME_CHARS_MAX) {
    return `"${name}" is not the name of a variable: a letter, then at most ${NAME_CHARS_MAX - 1} letters, digits and _`;
  }
  if (parsed.names.includes(name)) return `the variable ${name} comes twice`;
  if (parsed.names.length === VARIABLES_MAX) return `a template has at most ${VARIABLES_MAX} variables`;
  if (pattern === "" || pattern.startsWith("/") || pattern.endsWith("/")) return `the variable ${name} has no pattern`;
  if (parsed.ended) return "nothing that matches may follow **";
  parsed.names.push(name);
  parsed.source += "(";
  const problem = plain(parsed, pattern);
  parsed.source += ")";
  return problem;
}

/** `/{b}/x/{a}`: literals and names of variables of the pattern. */
export function compileTemplateRewrite(
  text: string,
  known: readonly string[],
): Result<(captures: ReadonlyMap<string, string>) => string, string> {
  const parts = text.split(/\{([^{}]*)\}/);
  for (const [index, part] of parts.entries()) {
    if (index % 2 === 1 && !known.includes(part)) return err(`the match has no variable ${part}`);
    if (index % 2 === 0 && /[{}*]/.test(part)) return err("a rewrite holds text and {variables} only");
  }
  if (!text.startsWith("/")) return err("a path template begins with /");
  return ok((captures) => parts.map((part, index) => (index % 2 === 1 ? (captures.get(part) ?? "") : part)).join(""));
}
