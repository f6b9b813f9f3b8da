// What a case of the framing corpus is, and short ways to write one.

export interface FramingCase {
  readonly name: string;
  /** Bytes as latin1. Several pieces are sent with a pause between them. */
  readonly send: string | readonly string[];
  /** What the client reads, in order: the status, for what came from the origin its body too (`200 ok`). */
  readonly answer: readonly string[];
  /**
   * `open`: a request sent behind is served. `closed`: it isn't, the connection ends. `half-closed`: nothing is sent
   * behind, the client ends its side and the proxy gives the request up.
   */
  readonly after: "open" | "closed" | "half-closed";
  /** Every complete request that the origin read, in order. */
  readonly origin: readonly string[];
  /** How a request may begin that the origin saw the start of, and no end. */
  readonly cut?: string;
  /** Response-code details of the first answer in weft's access log. */
  readonly details?: string;
  /** `rich`: HTTP/1.0, trailers and WebSocket are switched on. */
  readonly listener?: "plain" | "rich";
  readonly origin1?: OriginReply;
}

/** What the origin does with the first request instead of answering 200 and `ok`. */
export interface OriginReply {
  readonly bytes: string | readonly string[];
  /** The origin ends the connection behind it; `reset`: with an RST. */
  readonly ending?: "close" | "reset";
  /** Sent when the head has come, without waiting for the body. */
  readonly early?: true;
}

export const H = "Host: a\r\n";
export const POST = `POST /p HTTP/1.1\r\n${H}`;
export const CHUNKED = `${POST}Transfer-Encoding: chunked\r\n\r\n`;
/** What every case is followed by. */
export const SENTINEL = "GET /sentinel HTTP/1.1\r\nHost: sentinel\r\nConnection: close\r\n\r\n";
/** What an attacker would hide. */
export const EVIL = `GET /evil HTTP/1.1\r\n${H}\r\n`;

/** A GET with more header lines. */
export function get(lines = "", target = "/g"): string {
  return `GET ${target} HTTP/1.1\r\n${H}${lines}\r\n`;
}

/** A POST with its own framing lines and the bytes behind them. */
export function post(lines: string, body = ""): string {
  return `${POST}${lines}\r\n${body}`;
}

/** Refused in its head: one answer, the end of the connection, and the origin is not asked. */
export function refused(name: string, send: FramingCase["send"], details: string, status = 400): FramingCase {
  return { name, send, answer: [String(status)], after: "closed", origin: [], details: `http1.${details}` };
}

/** A good head and a body that is not: the origin may have seen the beginning, and no end. */
export function broken(name: string, send: FramingCase["send"], details: string, cut = "POST /p a"): FramingCase {
  return { name, send, answer: ["400"], after: "closed", origin: [], cut, details: `http1.${details}` };
}

/** Not complete when the client ends its side. */
export function unfinished(name: string, send: FramingCase["send"], cut = "POST /p a"): FramingCase {
  return { name, send, answer: [], after: "half-closed", origin: [], cut };
}

/** Served: one answer for each request of the origin, and the connection goes on. */
export function served(name: string, send: FramingCase["send"], ...origin: readonly string[]): FramingCase {
  return { name, send, answer: origin.map(() => "200 ok"), after: "open", origin };
}

/** Served as the last request of its connection. */
export function servedLast(name: string, send: FramingCase["send"], ...origin: readonly string[]): FramingCase {
  return { ...served(name, send, ...origin), after: "closed" };
}

export function rich(one: FramingCase): FramingCase {
  return { ...one, listener: "rich" };
}

/** What the client gets of a response that is the origin's alone to get wrong. */
export function response(
  name: string,
  bytes: OriginReply["bytes"],
  answer: string | readonly string[],
  more: Partial<FramingCase> & { ending?: OriginReply["ending"]; early?: true } = {},
): FramingCase {
  const { ending, early, ...rest } = more;
  return {
    name,
    send: get(),
    answer: typeof answer === "string" ? [answer] : answer,
    after: "open",
    origin: ["GET /g a"],
    origin1: { bytes, ...(ending === undefined ? {} : { ending }), ...(early === undefined ? {} : { early }) },
    ...rest,
  };
}
