// What the tidy tests look at: the repository's own files, split into code and comments.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

export interface Source {
  /** Relative to the repository, with slashes. */
  readonly path: string;
  readonly text: string;
  /** The text with comments and the contents of strings blanked out; lines stay lines. */
  readonly code: string;
  readonly comments: readonly { readonly line: number; readonly text: string }[];
}

/** Tracked and new files, without what git ignores. Outside a checkout (an unpacked archive) there is nothing to see. */
export function repositoryFiles(): readonly string[] {
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 16 * 1024 * 1024,
  });
  const deleted = new Set(
    execFileSync("git", ["ls-files", "-z", "--deleted"], { cwd: root, encoding: "utf8" }).split("\0"),
  );
  return listed.split("\0").filter((file) => file !== "" && !deleted.has(file));
}

export function readText(path: string): string {
  return readFileSync(`${root}/${path}`, "utf8");
}

export function readSource(path: string): Source {
  const text = readText(path);
  return { path, text, ...split(text) };
}

export function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

// What stands before a slash that begins a regular expression, not a division.
const BEFORE_REGEX = /(^|[=(,:;!&|?{}[\n]|\breturn|=>)\s*$/;

interface Cursor {
  readonly text: string;
  at: number;
  code: string;
  readonly comments: { line: number; text: string }[];
  /** One entry for each `${` that is open; its value counts the braces within. */
  readonly templates: number[];
}

function split(text: string): Pick<Source, "code" | "comments"> {
  const cursor: Cursor = { text, at: 0, code: "", comments: [], templates: [] };
  while (cursor.at < text.length) step(cursor);
  return { code: cursor.code, comments: cursor.comments };
}

function step(cursor: Cursor): void {
  const { text, at } = cursor;
  const char = text.charAt(at);
  const two = text.slice(at, at + 2);
  if (two === "//") comment(cursor, end(text, "\n", at));
  else if (two === "/*") comment(cursor, end(text, "*/", at) + 2);
  else if (char === '"' || char === "'") blank(cursor, closing(text, at, char));
  else if (char === "`" || closesSubstitution(cursor, char)) template(cursor);
  else if (char === "/" && BEFORE_REGEX.test(cursor.code.slice(-80))) blank(cursor, closing(text, at, "/"));
  else {
    cursor.code += char;
    cursor.at += 1;
  }
}

/** Counts braces within a template's substitution: true for the one that ends it. */
function closesSubstitution(cursor: Cursor, char: string): boolean {
  const open = cursor.templates.length - 1;
  const depth = cursor.templates[open];
  if (depth === undefined || (char !== "{" && char !== "}")) return false;
  if (char === "}" && depth === 0) {
    cursor.templates.pop();
    return true;
  }
  cursor.templates[open] = depth + (char === "{" ? 1 : -1);
  return false;
}

function end(text: string, mark: string, from: number): number {
  const found = text.indexOf(mark, from);
  return found < 0 ? text.length : found;
}

function comment(cursor: Cursor, to: number): void {
  cursor.comments.push({ line: lineOf(cursor.text, cursor.at), text: cursor.text.slice(cursor.at, to) });
  skip(cursor, to);
}

function skip(cursor: Cursor, to: number): void {
  cursor.code += cursor.text.slice(cursor.at, to).replace(/[^\n]/g, " ");
  cursor.at = to;
}

/** Keeps the quotes, so that a string is still seen to be one. */
function blank(cursor: Cursor, last: number): void {
  cursor.code += cursor.text.charAt(cursor.at);
  cursor.at += 1;
  skip(cursor, last);
  cursor.code += cursor.text.charAt(last);
  cursor.at = last + 1;
}

function closing(text: string, from: number, mark: string): number {
  let inClass = false;
  for (let at = from + 1; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (char === "\\") at += 1;
    else if (mark === "/" && char === "[") inClass = true;
    else if (mark === "/" && char === "]") inClass = false;
    else if ((char === mark && !inClass) || char === "\n") return at;
  }
  return text.length;
}

/** From a backtick, or from the brace that closed a substitution, to the next substitution or the end. */
function template(cursor: Cursor): void {
  const { text } = cursor;
  let to = cursor.at + 1;
  while (to < text.length && text.charAt(to) !== "`" && text.slice(to, to + 2) !== "${") {
    to += text.charAt(to) === "\\" ? 2 : 1;
  }
  skip(cursor, to);
  if (text.charAt(to) === "`") {
    skip(cursor, to + 1);
    return;
  }
  skip(cursor, to + 2);
  cursor.templates.push(0);
}
