// Header lines (RFC 9112, section 5) from text to pairs: one pass, every byte checked, nothing repaired.

import type { HeaderList } from "./headers.ts";

/** What a byte may be part of. */
const TOKEN = 1;
const UPPER = 2;
const VALUE = 4;
const AUTHORITY = 8;

const CLASS = new Uint8Array(256);
for (let code = 0; code < 256; code += 1) {
  const char = String.fromCharCode(code);
  if (/[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(char)) CLASS[code] = (CLASS[code] ?? 0) | TOKEN;
  if (/[A-Z]/.test(char)) CLASS[code] = (CLASS[code] ?? 0) | UPPER;
  if (code === 9 || (code >= 0x20 && code !== 0x7f)) CLASS[code] = (CLASS[code] ?? 0) | VALUE;
  if (/[A-Za-z0-9\-._~!$&'()*+,;=%:[\]]/.test(char)) CLASS[code] = (CLASS[code] ?? 0) | AUTHORITY;
}

const CR = 13;
const LF = 10;
const SPACE = 32;
const TAB = 9;
const COLON = 58;

export interface FieldLimits {
  readonly headersCountMax: number;
}

/**
 * Reads lines from `at` to the end of `text` (each ends in CRLF) and appends them to `out`.
 * Returns what is wrong, or the empty string.
 */
export function readFields(text: string, start: number, out: HeaderList, limits: FieldLimits): string {
  const end = text.length;
  let at = start;
  let count = 0;
  while (at < end) {
    const nameEnd = skipClass(text, at, TOKEN);
    const code = text.charCodeAt(nameEnd);
    if (code !== COLON) return nameProblem(code, nameEnd === at);
    if (nameEnd === at) return "a header line has no name";
    const valueStart = skipBlanks(text, nameEnd + 1);
    const lineEnd = skipClass(text, valueStart, VALUE);
    if (text.charCodeAt(lineEnd) !== CR || text.charCodeAt(lineEnd + 1) !== LF) {
      return valueProblem(text.charCodeAt(lineEnd));
    }
    count += 1;
    if (count > limits.headersCountMax) return TOO_MANY;
    out.add(lowerCase(text.slice(at, nameEnd)), text.slice(valueStart, trimEnd(text, valueStart, lineEnd)));
    at = lineEnd + 2;
  }
  return "";
}

function skipClass(text: string, start: number, wanted: number): number {
  let at = start;
  while (((CLASS[text.charCodeAt(at)] ?? 0) & wanted) !== 0) at += 1;
  return at;
}

function skipBlanks(text: string, start: number): number {
  let at = start;
  while (isBlank(text.charCodeAt(at))) at += 1;
  return at;
}

function trimEnd(text: string, start: number, end: number): number {
  let at = end;
  while (at > start && isBlank(text.charCodeAt(at - 1))) at -= 1;
  return at;
}

/** Most names come in lower case already, and then nothing is copied. */
function lowerCase(name: string): string {
  for (let at = 0; at < name.length; at += 1) {
    if (((CLASS[name.charCodeAt(at)] ?? 0) & UPPER) !== 0) return name.toLowerCase();
  }
  return name;
}

/** The one problem that is answered with 431 rather than 400. */
export const TOO_MANY = "there are more header lines than the limit allows";

export function isToken(text: string): boolean {
  if (text.length === 0) return false;
  for (let at = 0; at < text.length; at += 1) if (((CLASS[text.charCodeAt(at)] ?? 0) & TOKEN) === 0) return false;
  return true;
}

/** `host`, `host:port`, `[v6]:port`: only characters that an authority may hold. User information is not one. */
export function isAuthority(text: string): boolean {
  if (text.length === 0) return false;
  for (let at = 0; at < text.length; at += 1) if (((CLASS[text.charCodeAt(at)] ?? 0) & AUTHORITY) === 0) return false;
  return true;
}

/** Visible ASCII without space and without a fragment. */
export function isTarget(text: string): boolean {
  if (text.length === 0) return false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code <= SPACE || code >= 0x7f || code === 35) return false;
  }
  return true;
}

/** Digits only, no sign, no list, small enough to count with. -1: not a length. */
export function parseLength(text: string): number {
  if (text.length === 0 || text.length > 15) return -1;
  let value = 0;
  for (let at = 0; at < text.length; at += 1) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** True when a comma-separated list names the token, in any case. */
export function listHas(list: string, token: string): boolean {
  if (list === token) return true;
  for (const item of list.toLowerCase().split(",")) if (item.trim() === token) return true;
  return false;
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

function nameProblem(code: number, first: boolean): string {
  if (code === SPACE || code === TAB) return first ? "a folded header line" : "a space before a header's colon";
  if (code === CR || code === LF) return "a header line without a colon, or a bare CR or LF";
  return "a character that a header's name may not have";
}

function valueProblem(code: number): string {
  if (code === CR) return "a CR without an LF";
  if (code === LF) return "an LF without a CR";
  return "a control character in a header's value";
}
