// Reads a page of metrics piece by piece as it comes, and gives out the samples that are asked for.

import { LINE_LENGTH_MAX } from "./limits.ts";

/** `labels` is the text between the braces as it was written: a key, to be parsed once. */
export type OnSample = (name: string, labels: string, value: number) => void;

export class PrometheusReader {
  /** Lines that were no sample or were too long. */
  refused = 0;
  readonly #prefix: string;
  readonly #onSample: OnSample;
  #rest = "";
  #skipping = false;

  /** Only names that begin with `prefix` are looked at. */
  constructor(prefix: string, onSample: OnSample) {
    this.#prefix = prefix;
    this.#onSample = onSample;
  }

  feed(piece: string): void {
    let at = 0;
    for (;;) {
      const end = piece.indexOf("\n", at);
      if (end < 0) break;
      if (this.#skipping) this.#skipping = false;
      else if (this.#rest === "") this.#lineOf(piece, at, end);
      else this.#line(this.#rest + piece.slice(at, end));
      this.#rest = "";
      at = end + 1;
    }
    if (this.#skipping) return;
    this.#rest += piece.slice(at);
    if (this.#rest.length <= LINE_LENGTH_MAX) return;
    this.refused += 1;
    this.#rest = "";
    this.#skipping = true;
  }

  /** A page may end without a line break. */
  end(): void {
    if (this.#rest !== "" && !this.#skipping) this.#line(this.#rest);
    this.#rest = "";
    this.#skipping = false;
  }

  #lineOf(piece: string, at: number, end: number): void {
    if (piece.startsWith(this.#prefix, at)) this.#line(piece.slice(at, end));
  }

  #line(line: string): void {
    if (!line.startsWith(this.#prefix)) return;
    const open = line.indexOf("{");
    const close = open < 0 ? -1 : closingBrace(line, open + 1);
    const nameEnd = open < 0 ? line.search(/[ \t]/) : open;
    const rest = line
      .slice(open < 0 ? nameEnd : close + 1)
      .trim()
      .split(/[ \t]+/);
    const value = numberOf(rest[0] ?? "");
    if (nameEnd <= 0 || (open >= 0 && close < 0) || value === undefined || line.length > LINE_LENGTH_MAX) {
      this.refused += 1;
      return;
    }
    this.#onSample(line.slice(0, nameEnd).trimEnd(), open < 0 ? "" : line.slice(open + 1, close), value);
  }
}

/** The brace that ends the labels: one within quotes is part of a value. */
function closingBrace(line: string, from: number): number {
  let quoted = false;
  for (let at = from; at < line.length; at += 1) {
    const char = line.charCodeAt(at);
    if (char === BACKSLASH && quoted) at += 1;
    else if (char === QUOTE) quoted = !quoted;
    else if (char === CLOSE && !quoted) return at;
  }
  return -1;
}

const BACKSLASH = 92;
const QUOTE = 34;
const CLOSE = 125;

function numberOf(text: string): number | undefined {
  if (text === "+Inf" || text === "Inf") return Number.POSITIVE_INFINITY;
  if (text === "-Inf") return Number.NEGATIVE_INFINITY;
  const value = text === "" ? Number.NaN : Number(text);
  // NaN is what an empty summary prints: a value that counts for nothing.
  return Number.isNaN(value) ? undefined : value;
}

const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"/g;

export function parseLabels(text: string): ReadonlyMap<string, string> {
  const labels = new Map<string, string>();
  for (const [, name = "", value = ""] of text.matchAll(LABEL)) {
    labels.set(
      name,
      value.includes("\\") ? value.replace(/\\(.)/g, (_all, char: string) => (char === "n" ? "\n" : char)) : value,
    );
  }
  return labels;
}
