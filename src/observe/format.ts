// Envoy's format strings compiled to a function that writes one line of a record, or the value of a header.

import { err, ok, type Result } from "../base/result.ts";
import type { AccessRecord, RecordFormatter } from "./access-record.ts";
import { compileOperator, type ValueReader } from "./operators.ts";

export interface FormatOptions {
  /** What an absent value becomes: nothing instead of `-`; in JSON, no property instead of null. */
  readonly omitEmpty: boolean;
}

const DASH: FormatOptions = { omitEmpty: false };

/** Compiles a text format. The error names the operator and what is wrong with it. */
export function compileFormat(format: string, options: FormatOptions = DASH): Result<RecordFormatter, string> {
  const parsed = parsePieces(format);
  if (!parsed.ok) return parsed;
  const pieces = parsed.value.map((piece) => toWriter(piece, options));
  const [only] = pieces;
  if (pieces.length === 1 && only !== undefined) return ok(only);
  return ok((record) => {
    let line = "";
    for (const write of pieces) line += write(record);
    return line;
  });
}

export interface JsonFormatOptions extends FormatOptions {
  readonly sortProperties: boolean;
}

const PLAIN_JSON: JsonFormatOptions = { omitEmpty: false, sortProperties: false };

/** Compiles a JSON format (a tree whose leaves are format strings). A leaf that is one numeric operator stays a number; the line ends with a newline. */
export function compileJsonFormat(
  format: unknown,
  options: JsonFormatOptions = PLAIN_JSON,
): Result<RecordFormatter, string> {
  const compiled = compileNode(format, "", options);
  if (!compiled.ok) return compiled;
  const node = compiled.value;
  return ok((record) => `${JSON.stringify(node(record))}\n`);
}

type NodeReader = (record: AccessRecord) => unknown;
type Piece = { readonly kind: "text"; readonly text: string } | { readonly kind: "value"; readonly read: ValueReader };

function toWriter(piece: Piece, options: FormatOptions): RecordFormatter {
  if (piece.kind === "text") return () => piece.text;
  const { read } = piece;
  const absent = options.omitEmpty ? "" : "-";
  return (record) => {
    const value = read(record);
    if (value === undefined) return absent;
    return typeof value === "string" ? value : typeof value === "object" ? JSON.stringify(value) : String(value);
  };
}

function compileNode(format: unknown, path: string, options: JsonFormatOptions): Result<NodeReader, string> {
  if (typeof format === "string") {
    const parsed = parsePieces(format);
    if (!parsed.ok) return err(path === "" ? parsed.error : `${path}: ${parsed.error}`);
    const [only, ...rest] = parsed.value;
    if (only?.kind === "value" && rest.length === 0) return ok((record) => only.read(record) ?? null);
    const writers = parsed.value.map((piece) => toWriter(piece, options));
    return ok((record) => writers.map((write) => write(record)).join(""));
  }
  if (Array.isArray(format)) return compileList(format, path, options);
  if (typeof format === "object" && format !== null) return compileObject(format, path, options);
  return ok(() => format);
}

function compileList(format: readonly unknown[], path: string, options: JsonFormatOptions): Result<NodeReader, string> {
  const nodes: NodeReader[] = [];
  for (const [index, item] of format.entries()) {
    const node = compileNode(item, `${path}[${index}]`, options);
    if (!node.ok) return node;
    nodes.push(node.value);
  }
  return ok((record) => nodes.map((node) => node(record)));
}

function compileObject(format: object, path: string, options: JsonFormatOptions): Result<NodeReader, string> {
  const entries: [string, NodeReader][] = [];
  for (const [key, value] of Object.entries(format)) {
    const node = compileNode(value, path === "" ? key : `${path}.${key}`, options);
    if (!node.ok) return node;
    entries.push([key, node.value]);
  }
  if (options.sortProperties) entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return ok((record) => {
    const values = entries.map(([key, node]): [string, unknown] => [key, node(record)]);
    return Object.fromEntries(options.omitEmpty ? values.filter(([, value]) => value !== null) : values);
  });
}

function parsePieces(format: string): Result<readonly Piece[], string> {
  const pieces: Piece[] = [];
  let text = "";
  let at = 0;
  while (at < format.length) {
    const percent = format.indexOf("%", at);
    if (percent === -1) {
      text += format.slice(at);
      break;
    }
    text += format.slice(at, percent);
    if (format[percent + 1] === "%") {
      text += "%";
      at = percent + 2;
      continue;
    }
    const end = operatorEnd(format, percent + 1);
    if (end === -1) return err(`"${format.slice(percent)}" begins an operator that has no closing %`);
    const read = compileOperator(format.slice(percent + 1, end));
    if (!read.ok) return read;
    if (text !== "") pieces.push({ kind: "text", text });
    text = "";
    pieces.push({ kind: "value", read: read.value });
    at = end + 1;
  }
  if (text !== "") pieces.push({ kind: "text", text });
  return ok(pieces);
}

/** The closing percent sign; those inside parentheses belong to a time format. */
function operatorEnd(format: string, from: number): number {
  const paren = format.indexOf("(", from);
  const percent = format.indexOf("%", from);
  if (paren === -1 || percent === -1 || percent < paren) return percent;
  const close = format.indexOf(")", paren);
  return close === -1 ? -1 : format.indexOf("%", close);
}
