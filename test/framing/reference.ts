// A strict reader of HTTP/1.1 that shares nothing with weft's: what an origin makes of the bytes it gets, and a client.

export type Read =
  | { readonly kind: "complete"; readonly text: string; readonly next: number; readonly upgrade: boolean }
  | { readonly kind: "partial"; readonly text: string; readonly head: boolean }
  | { readonly kind: "bad"; readonly why: string };

interface Head {
  readonly first: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly next: number;
}

const FIELD = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*$/;
/** What the proxy adds by itself, or the origin of the tests. */
const OWN =
  /^(x-request-id|x-forwarded-proto|x-forwarded-for|x-envoy-.*|host|content-length|transfer-encoding|date|server|content-type|via|x-weft-cause)$/;

/** `METHOD TARGET HOST`, then own headers, the framing and the body. */
export function readRequest(text: string, start: number): Read {
  const head = readHead(text, start);
  if (typeof head === "string") return { kind: "bad", why: head };
  if (head === undefined) return { kind: "partial", text: text.slice(start, text.indexOf("\r\n", start)), head: false };
  const line = /^(\S+) (\S+) HTTP\/1\.1$/.exec(head.first);
  if (line === null) return { kind: "bad", why: `request line ${JSON.stringify(head.first)}` };
  const hosts = all(head, "host");
  if (hosts.length !== 1) return { kind: "bad", why: `${hosts.length} host lines` };
  const framing = framingOf(head);
  if (framing.kind === "bad") return framing;
  const begin = [line[1], line[2], hosts[0], ...others(head)].join(" ").trimEnd();
  const upgrade = all(head, "upgrade").length > 0;
  if (framing.kind === "none") return { kind: "complete", text: begin, next: head.next, upgrade };
  return withBody(text, begin, head.next, { framing, upgrade });
}

/** `STATUS BODY`; `answersHead`: the response to HEAD. `ended`: no more bytes will come. */
export function readResponse(
  text: string,
  start: number,
  around: { readonly answersHead: boolean; readonly ended: boolean },
): Read {
  const head = readHead(text, start);
  if (typeof head === "string") return { kind: "bad", why: head };
  if (head === undefined) return { kind: "partial", text: text.slice(start), head: false };
  const line = /^HTTP\/1\.[01] ([1-9]\d\d) ([\t\x20-\x7e\x80-\xff]*)$/.exec(head.first);
  if (line === null) return { kind: "bad", why: `status line ${JSON.stringify(head.first)}` };
  const status = Number(line[1]);
  const begin = [String(status), ...others(head)].join(" ");
  const framing = framingOf(head);
  if (framing.kind === "bad") return framing;
  if (status === 204 && (framing.kind !== "none" || all(head, "content-length").length > 0))
    return { kind: "bad", why: "a body's framing in 204" };
  if (status === 101) return { kind: "complete", text: begin, next: head.next, upgrade: true };
  if (around.answersHead || status < 200 || status === 204 || status === 304)
    return { kind: "complete", text: begin, next: head.next, upgrade: false };
  if (framing.kind === "none" && all(head, "content-length").length === 0) {
    if (!around.ended) return { kind: "partial", text: begin, head: true };
    const body = text.slice(head.next);
    return { kind: "complete", text: `${begin} ${body}`.trimEnd(), next: text.length, upgrade: false };
  }
  if (framing.kind === "none") return { kind: "complete", text: begin, next: head.next, upgrade: false };
  const read = withBody(text, begin, head.next, { framing, upgrade: false });
  // How the body is framed is for the origin's record; a client sees the body.
  if (read.kind === "bad") return read;
  return { ...read, text: read.text.replace(/ (length|chunked):/, " ") };
}

type Framing =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "chunked" }
  | { readonly kind: "bad"; readonly why: string };

function framingOf(head: Head): Framing {
  const lengths = all(head, "content-length");
  const codings = all(head, "transfer-encoding");
  if (lengths.length > 1) return { kind: "bad", why: "several content-length lines" };
  if (lengths.length === 1 && codings.length > 0) return { kind: "bad", why: "content-length and transfer-encoding" };
  if (codings.length > 0) {
    if (codings.length > 1 || codings[0] !== "chunked")
      return { kind: "bad", why: `transfer-encoding ${codings.join()}` };
    return { kind: "chunked" };
  }
  const [length] = lengths;
  if (length === undefined) return { kind: "none" };
  if (!/^\d{1,15}$/.test(length)) return { kind: "bad", why: `content-length ${length}` };
  return Number(length) === 0 ? { kind: "none" } : { kind: "length", bytes: Number(length) };
}

function withBody(
  text: string,
  begin: string,
  at: number,
  more: { readonly framing: Framing; readonly upgrade: boolean },
): Read {
  const { framing, upgrade } = more;
  if (framing.kind === "length") {
    const body = text.slice(at, at + framing.bytes);
    const whole = `${begin} length:${shorten(body)}`;
    if (body.length < framing.bytes) return { kind: "partial", text: whole, head: true };
    return { kind: "complete", text: whole, next: at + framing.bytes, upgrade };
  }
  let body = "";
  let next = at;
  for (;;) {
    const end = text.indexOf("\r\n", next);
    if (end === -1) return { kind: "partial", text: `${begin} chunked:${shorten(body)}`, head: true };
    const line = text.slice(next, end);
    if (!/^[0-9a-f]+$/i.test(line)) return { kind: "bad", why: `chunk size ${JSON.stringify(line)}` };
    const size = Number.parseInt(line, 16);
    if (size === 0) return trailersAt(text, end + 2, { begin: `${begin} chunked:${shorten(body)}`, upgrade });
    if (text.length < end + 2 + size + 2)
      return { kind: "partial", text: `${begin} chunked:${shorten(body)}`, head: true };
    body += text.slice(end + 2, end + 2 + size);
    if (text.slice(end + 2 + size, end + 4 + size) !== "\r\n") return { kind: "bad", why: "no CRLF behind a chunk" };
    next = end + 4 + size;
  }
}

function trailersAt(text: string, at: number, more: { readonly begin: string; readonly upgrade: boolean }): Read {
  let next = at;
  let whole = more.begin;
  for (;;) {
    const end = text.indexOf("\r\n", next);
    if (end === -1) return { kind: "partial", text: whole, head: true };
    if (end === next) return { kind: "complete", text: whole, next: end + 2, upgrade: more.upgrade };
    const field = FIELD.exec(text.slice(next, end));
    if (field === null) return { kind: "bad", why: `trailer ${JSON.stringify(text.slice(next, end))}` };
    whole += ` trailer ${field[1]}=${field[2]}`;
    next = end + 2;
  }
}

/** Undefined: it goes on. A text: what is wrong with it. */
function readHead(text: string, start: number): Head | string | undefined {
  const end = text.indexOf("\r\n\r\n", start);
  const part = text.slice(start, end === -1 ? undefined : end);
  const bare = /\r(?!\n|$)|(?<!\r)\n|\0/.exec(part);
  if (bare !== null) return `a bare CR, LF or NUL at ${bare.index}`;
  if (end === -1) return undefined;
  const [first = "", ...lines] = part.split("\r\n");
  const fields: (readonly [string, string])[] = [];
  for (const line of lines) {
    const field = FIELD.exec(line);
    if (field === null) return `header line ${JSON.stringify(line)}`;
    fields.push([(field[1] ?? "").toLowerCase(), field[2] ?? ""]);
  }
  return { first, fields, next: end + 4 };
}

function all(head: Head, name: string): readonly string[] {
  return head.fields.filter(([one]) => one === name).map(([, value]) => value);
}

function others(head: Head): readonly string[] {
  return head.fields
    .filter(([name]) => !OWN.test(name))
    .map(([name, value]) => `${name}=${name === "connection" ? value.toLowerCase() : value}`);
}

function shorten(body: string): string {
  return body.length <= 64 ? body : `${body.slice(0, 16)}…${body.length}`;
}
