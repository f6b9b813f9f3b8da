// The head of a request or response: start line and header lines to a message with its framing decided (RFC 9112, sections 3, 4 and 6).

import { isAuthority, isTarget, isToken, listHas, parseLength, readFields, TOO_MANY } from "./fields.ts";
import { HeaderList } from "./headers.ts";

export type Framing = "none" | "length" | "chunked" | "close";

export class RequestHead {
  readonly kind = "request";
  method: string;
  path: string;
  authority: string;
  scheme: string;
  readonly http10: boolean;
  readonly absoluteForm: boolean;
  readonly headers: HeaderList;
  framing: Framing = "none";
  contentLength = 0;
  keepAlive = true;
  expectContinue = false;
  /** Lower-case protocol of `Upgrade` where `Connection` names it. */
  upgrade: string | undefined;
  /** Where the query begins in `path`, or -1. Kept in step by whoever rewrites the path. */
  constructor(line: RequestLine, headers: HeaderList) {
    this.method = line.method;
    this.path = line.path;
    this.authority = line.authority;
    this.scheme = line.scheme;
    this.http10 = line.http10;
    this.absoluteForm = line.absoluteForm;
    this.headers = headers;
  }

  some(name: string, passes: (value: string) => boolean): boolean | undefined {
    if (name.charCodeAt(0) !== 58 && name !== "host") return this.headers.some(name, passes);
    const value = this.get(name);
    return value === undefined ? undefined : passes(value);
  }

  /** With Envoy's pseudo headers, as matchers and the access log name them. */
  get(name: string): string | undefined {
    if (name.charCodeAt(0) !== 58) return name === "host" ? this.authority : this.headers.joined(name);
    switch (name) {
      case ":method":
        return this.method;
      case ":path":
        return this.path;
      case ":authority":
        return this.authority;
      case ":scheme":
        return this.scheme;
      default:
        return undefined;
    }
  }
}

export class ResponseHead {
  readonly kind = "response";
  status: number;
  reason: string;
  readonly http10: boolean;
  readonly headers: HeaderList;
  framing: Framing = "none";
  contentLength = 0;
  keepAlive = true;

  constructor(status: number, reason: string, http10: boolean, headers: HeaderList) {
    this.status = status;
    this.reason = reason;
    this.http10 = http10;
    this.headers = headers;
  }

  some(name: string, passes: (value: string) => boolean): boolean | undefined {
    return name === ":status" ? passes(String(this.status)) : this.headers.some(name, passes);
  }

  get(name: string): string | undefined {
    return name === ":status" ? String(this.status) : this.headers.joined(name);
  }
}

/** Why a message is refused, and with which status a server says so. */
export interface HeadError {
  readonly kind: "error";
  readonly status: 400 | 417 | 426 | 431 | 501 | 505;
  readonly message: string;
}

export interface HeadOptions {
  readonly headersCountMax: number;
  readonly acceptHttp10: boolean;
  /** Any token is a method, not only those that Envoy knows. */
  readonly allowCustomMethods: boolean;
  /** What a request of HTTP/1.0 without a host means; empty: it is refused. */
  readonly defaultHostForHttp10?: string;
}

const UNKNOWN_METHOD = "the method is not one that is known";
/** Envoy's. */
const METHODS = new Set(
  `ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE MSEARCH NOTIFY OPTIONS
  PATCH POST PROPFIND PROPPATCH PURGE PUT REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK UNLOCK UNSUBSCRIBE`.split(
    /\s+/,
  ),
);

function isKnownMethod(method: string): boolean {
  return method === "GET" || method === "POST" || METHODS.has(method);
}

interface RequestLine {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  readonly http10: boolean;
  readonly absoluteForm: boolean;
}

/** Whether everything behind a response is no HTTP any more: a switch of protocols, or the tunnel that CONNECT asked for. */
export function opensTunnel(method: string, status: number): boolean {
  return status === 101 || (method === "CONNECT" && status >= 200 && status < 300);
}

/** `text` is the head up to and including the CRLF of its last line, without the empty line. */
export function parseRequestHead(text: string, options: HeadOptions): RequestHead | HeadError {
  const lineEnd = text.indexOf("\r\n");
  const line = parseRequestLine(text.slice(0, lineEnd));
  if ("kind" in line) return line;
  if (!options.allowCustomMethods && !isKnownMethod(line.method)) return refuse(400, UNKNOWN_METHOD);
  if (line.http10 && !options.acceptHttp10) return refuse(426, "HTTP/1.0 is not accepted here");
  const headers = new HeaderList();
  const problem = readFields(text, lineEnd + 2, headers, options);
  if (problem !== "") return refuse(problem === TOO_MANY ? 431 : 400, problem);
  const head = new RequestHead(line, headers);
  return frameRequest(head, line.http10 ? options.defaultHostForHttp10 : "") ?? head;
}

export function parseResponseHead(text: string, method: string, options: HeadOptions): ResponseHead | HeadError {
  const lineEnd = text.indexOf("\r\n");
  const status = parseStatus(text);
  const http10 = text.startsWith("HTTP/1.0 ");
  if (!http10 && !text.startsWith("HTTP/1.1 ")) return refuse(400, "the status line does not begin with HTTP/1.1");
  const after = text.charCodeAt(12);
  if (status < 100 || (lineEnd > 12 && after !== 32) || lineEnd < 12) {
    return refuse(400, "the status is not a number of three digits");
  }
  const reason = text.slice(13, lineEnd);
  if (/[^\t\x20-\x7e\x80-\xff]/.test(reason)) return refuse(400, "a control character in the reason phrase");
  const headers = new HeaderList();
  const problem = readFields(text, lineEnd + 2, headers, options);
  if (problem !== "") return refuse(400, problem);
  const head = new ResponseHead(status, reason, http10, headers);
  return frameResponse(head, method) ?? head;
}

/** Three digits behind the version; -1: something else. */
function parseStatus(text: string): number {
  let status = 0;
  for (let at = 9; at < 12; at += 1) {
    const digit = text.charCodeAt(at) - 48;
    if (!(digit >= 0 && digit <= 9)) return -1;
    status = status * 10 + digit;
  }
  return status;
}

function parseRequestLine(line: string): RequestLine | HeadError {
  const first = line.indexOf(" ");
  const last = line.lastIndexOf(" ");
  if (first <= 0 || last === first) return refuse(400, "the request line is not METHOD TARGET VERSION");
  const method = line.slice(0, first);
  const target = line.slice(first + 1, last);
  const version = line.slice(last + 1);
  const http10 = version === "HTTP/1.0";
  if (!http10 && version !== "HTTP/1.1") {
    return refuse(/^HTTP\/\d\.\d$/.test(version) ? 505 : 400, "the version is not HTTP/1.1");
  }
  if (!isToken(method)) return refuse(400, "the method is not a token");
  if (!isTarget(target)) return refuse(400, "a character that a request target may not have");
  if (target.charCodeAt(0) === 47 && method !== "CONNECT") {
    return { method, path: target, authority: "", scheme: "", http10, absoluteForm: false };
  }
  if (method === "CONNECT") {
    if (!isAuthority(target)) return refuse(400, "the target of CONNECT is not an authority");
    return { method, path: "", authority: target, scheme: "", http10, absoluteForm: false };
  }
  if (target === "*" && method === "OPTIONS") {
    return { method, path: target, authority: "", scheme: "", http10, absoluteForm: false };
  }
  const absolute = /^(https?):\/\/([^/?]*)(.*)$/i.exec(target);
  if (absolute === null) return refuse(400, "the target is neither a path nor an absolute URI");
  const [, scheme = "", authority = "", rest = ""] = absolute;
  if (!isAuthority(authority)) return refuse(400, "the authority of the target is not valid");
  const path = rest.startsWith("/") ? rest : `/${rest}`;
  return { method, path, authority, scheme: scheme.toLowerCase(), http10, absoluteForm: true };
}

const EXPECTATION = "an expectation other than 100-continue";

/** What the header lines say of framing and connection. */
interface Framed {
  lengths: number;
  encoding: string | undefined;
  hosts: number;
  connection: string;
  upgrade: string | undefined;
  problem: string;
}

/** Decides where the body ends and whether the connection goes on; undefined when all is well. */
function frameRequest(head: RequestHead, defaultHost: string | undefined): HeadError | undefined {
  const framed = readRequestFields(head);
  if (framed.problem !== "") return refuse(framed.problem === EXPECTATION ? 417 : 400, framed.problem);
  const { lengths, encoding, hosts, connection } = framed;
  if (hosts > 1) return refuse(400, "more than one Host header");
  if (hosts === 0 && !defaultHost) return refuse(400, "no Host header");
  if (hosts === 0 && head.authority === "") head.authority = defaultHost ?? "";
  if (lengths > 1) return refuse(400, "more than one Content-Length");
  if (head.contentLength < 0) return refuse(400, "Content-Length is not a number");
  const coding = frameEncoding(encoding, lengths, head.http10);
  if (coding !== undefined) return coding;
  if (encoding !== undefined) head.framing = "chunked";
  else if (lengths === 1 && head.contentLength > 0) head.framing = "length";
  head.keepAlive = keepsAlive(connection, head.http10);
  if (framed.upgrade !== undefined && connection !== "" && listHas(connection, "upgrade"))
    head.upgrade = framed.upgrade;
  return undefined;
}

function readRequestFields(head: RequestHead): Framed {
  const framed: Framed = { lengths: 0, encoding: undefined, hosts: 0, connection: "", upgrade: undefined, problem: "" };
  const { raw } = head.headers;
  for (let at = 0; at < raw.length; at += 2) {
    const value = raw[at + 1] ?? "";
    switch (raw[at]) {
      case "host":
        framed.hosts += 1;
        if (!isAuthority(value)) framed.problem = "the Host header is not valid";
        if (!head.absoluteForm && head.method !== "CONNECT") head.authority = value;
        break;
      case "content-length":
        framed.lengths += 1;
        head.contentLength = parseLength(value);
        break;
      case "transfer-encoding":
        framed.encoding = joined(framed.encoding, value.toLowerCase());
        break;
      case "connection":
        framed.connection = framed.connection === "" ? value : `${framed.connection},${value}`;
        break;
      case "upgrade":
        framed.upgrade = value.toLowerCase();
        break;
      case "expect":
        if (value.toLowerCase() !== "100-continue") framed.problem = EXPECTATION;
        head.expectContinue = !head.http10;
        break;
    }
  }
  return framed;
}

function joined(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before},${value}`;
}

function frameResponse(head: ResponseHead, method: string): HeadError | undefined {
  const { raw } = head.headers;
  let lengths = 0;
  let encoding: string | undefined;
  let connection = "";
  for (let at = 0; at < raw.length; at += 2) {
    const value = raw[at + 1] ?? "";
    switch (raw[at]) {
      case "content-length":
        lengths += 1;
        head.contentLength = parseLength(value);
        break;
      case "transfer-encoding":
        encoding = encoding === undefined ? value.toLowerCase() : `${encoding},${value.toLowerCase()}`;
        break;
      case "connection":
        connection = connection === "" ? value : `${connection},${value}`;
        break;
    }
  }
  if (lengths > 1) return refuse(400, "more than one Content-Length");
  if (head.contentLength < 0) return refuse(400, "Content-Length is not a number");
  head.keepAlive = keepsAlive(connection, head.http10);
  const { status } = head;
  if (status < 200 || status === 204) return frameBodiless(head, encoding);
  if (status === 304 || method === "HEAD" || opensTunnel(method, status)) return undefined;
  return frameBody(head, lengths, encoding);
}

function frameBody(head: ResponseHead, lengths: number, encoding: string | undefined): HeadError | undefined {
  const coding = frameEncoding(encoding, lengths, head.http10);
  if (coding !== undefined) return coding;
  if (encoding !== undefined) head.framing = "chunked";
  else if (lengths === 1) head.framing = head.contentLength > 0 ? "length" : "none";
  else {
    head.framing = "close";
    head.keepAlive = false;
  }
  return undefined;
}

/** A length of zero is passed over, since many origins send one; it goes no further. */
function frameBodiless(head: ResponseHead, encoding: string | undefined): HeadError | undefined {
  if (encoding !== undefined || head.contentLength > 0) return refuse(400, `a body's framing in ${head.status}`);
  head.headers.remove("content-length");
  return undefined;
}

function frameEncoding(encoding: string | undefined, lengths: number, http10: boolean): HeadError | undefined {
  if (encoding === undefined) return undefined;
  if (http10) return refuse(400, "Transfer-Encoding in HTTP/1.0");
  if (lengths > 0) return refuse(400, "both Content-Length and Transfer-Encoding");
  if (encoding === "chunked") return undefined;
  if (/(^|,)[ \t]*chunked[ \t]*(,|$)/.test(encoding)) return refuse(400, "a transfer coding beside chunked");
  return refuse(501, "a transfer coding other than chunked");
}

function keepsAlive(connection: string, http10: boolean): boolean {
  if (connection === "") return !http10;
  if (listHas(connection, "close")) return false;
  return !http10 || listHas(connection, "keep-alive");
}

function refuse(status: HeadError["status"], message: string): HeadError {
  return { kind: "error", status, message };
}
