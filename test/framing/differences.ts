// Where Envoy does something else than weft with a case of the framing corpus, and why weft doesn't follow.

import type { Expected } from "./check.ts";

interface Difference {
  readonly reason: string;
  /** What Envoy does instead; undefined: what the client or the origin gets can't be read as HTTP, or never ends. */
  readonly envoy: Partial<Expected> | undefined;
}

/** Envoy serves it as these requests. */
function takes(...origin: readonly string[]): Partial<Expected> {
  return { answer: origin.map(() => "200 ok"), after: "open", origin };
}

function group(
  reason: string,
  cases: Readonly<Record<string, Partial<Expected> | undefined>>,
): Readonly<Record<string, Difference>> {
  return Object.fromEntries(Object.entries(cases).map(([name, envoy]) => [name, { reason, envoy }]));
}

export const differences: Readonly<Record<string, Difference>> = {
  ...group(
    "a bare CR or LF, an obs-fold or a further empty line is repaired or passed over by Envoy; RFC 9112 (2.2, 5.2) lets a recipient refuse, and what nobody repairs nobody reads differently",
    {
      "lengths: a length line that is folded": takes("POST /p a length:x"),
      "codings: chunked behind a folded line": takes("POST /p a chunked:", "GET /evil a"),
      "codings: chunked and a bare CR": takes("POST /p a chunked:", "GET /evil a"),
      "codings: TE.TE: behind a bare CR": takes(
        "POST /p a x=yTransfer-Encoding: chunked length:0\r\n\r\n",
        "GET /evil a",
      ),
      "trailers: a folded trailer": takes("POST /p a chunked:abc", "GET /evil a"),
      "trailers: a bare CR in a trailer": takes("POST /p a chunked:abc", "GET /evil a"),
      "trailers: a bare LF behind the last chunk": takes("POST /p a chunked:abc", "GET /evil a"),
      "trailers: a bare LF after a trailer": takes("POST /p a chunked:abc", "GET /evil a"),
      "lines: two empty lines before the request": takes("GET /g a"),
      "lines: a bare LF before the request": takes("GET /g a"),
      "lines: a bare CR before the request": takes("GET /g a"),
      "lines: bare LFs only": takes("GET /g a"),
      "lines: a bare LF behind the request line": takes("GET /g a"),
      "lines: a bare LF behind a header": takes("GET /g a x=y"),
      "lines: a bare LF as the empty line": takes("GET /g a", "GET /evil a"),
      "lines: CR LF LF": takes("GET /g a", "GET /evil a"),
      "lines: CR CR LF behind a header": takes("GET /g a"),
      "lines: a bare CR in a value": takes("GET /g a x=ab"),
      "lines: a bare CR at a value's beginning": takes("GET /g a x=b"),
      "lines: a bare CR before a header": takes("GET /g a x=aY: b"),
      "lines: a bare LF before a header": takes("GET /g a x=a y=b"),
      "lines: a folded line": takes("GET /g a x=a b"),
      "lines: a folded line by tab": takes("GET /g a x=a\tb"),
      "lines: a folded line of blanks": takes("GET /g a x=a"),
      "responses: a folded line": { answer: ["200 x=a b abc"] },
      "responses: a bare LF in the head": { answer: ["200 abc"] },
      "responses: a bare CR in a value": { answer: ["200 x=ab abc"] },
    },
  ),
  ...group(
    "RFC 9112 (6.3) asks for 400 when chunked is not the final coding or applied twice; Envoy answers 501 to every value but chunked",
    {
      "codings: chunked, chunked": { answer: ["501"] },
      "codings: gzip, chunked": { answer: ["501"] },
      "codings: chunked, gzip": { answer: ["501"] },
      "codings: chunked, identity": { answer: ["501"] },
      "codings: identity, chunked": { answer: ["501"] },
      "codings: chunked with a comma behind": { answer: ["501"] },
      "codings: chunked with a comma before": { answer: ["501"] },
      "codings: chunked in two lines": { answer: ["501"] },
      "codings: chunked, then identity in a line of its own": { answer: ["501"] },
      "codings: identity, then chunked": { answer: ["501"] },
      "codings: an empty coding, then chunked": takes("POST /p a chunked:", "GET /evil a"),
    },
  ),
  ...group(
    "Envoy passes over what its chunk reader does not need: blanks, control characters and any length of extension, bytes up to the next LF; RFC 9112 (7.1) has no room for them, and weft bounds the line",
    {
      "chunks: a blank behind an extension": takes("POST /p a chunked:x", "GET /evil a"),
      "chunks: an extension without a name": takes("POST /p a chunked:x", "GET /evil a"),
      "chunks: an extension without its value": takes("POST /p a chunked:x", "GET /evil a"),
      "chunks: an open quote in an extension": takes("POST /p a chunked:x", "GET /evil a"),
      "chunks: a space behind the size": takes("POST /p a chunked:x", "GET /evil a"),
      "chunks: a space inside the size": takes("POST /p a chunked:x", "GET /evil a"),
      "chunks: a NUL in an extension": takes("POST /p a chunked:x", "GET /evil a"),
      "chunks: a control character in an extension": takes("POST /p a chunked:x", "GET /evil a"),
      "chunks: an extension beyond the limit": takes("POST /p a chunked:x"),
      "chunks: zeros beyond the limit": takes("POST /p a chunked:x"),
      "chunks: a chunk longer than its size": takes("POST /p a chunked:x"),
      "chunks: a chunk that ends in a bare LF": takes("POST /p a chunked:x"),
      "responses: a chunk longer than its size": { answer: ["200 abcx"], after: "open" },
    },
  ),
  ...group("a number that other readers hold in 63 bits is refused by weft; Envoy counts to 2^64", {
    "lengths: 2^63": undefined,
    "chunks: a size of 2^63": undefined,
  }),
  ...group("fields that frame or route a message are not forwarded behind it (RFC 9110, 6.5.1); Envoy forwards them", {
    "trailers: a Content-Length behind the body": {
      origin: ["POST /p a chunked:abc trailer x-t=1 trailer content-length=5"],
    },
    "trailers: a Transfer-Encoding behind the body": {
      origin: ["POST /p a chunked:abc trailer x-t=1 trailer transfer-encoding=chunked"],
    },
    "trailers: a Host behind the body": { origin: ["POST /p a chunked:abc trailer x-t=1 trailer host=b"] },
    "trailers: a Connection behind the body": {
      origin: ["POST /p a chunked:abc trailer x-t=1 trailer connection=close"],
    },
    "trailers: an Authorization behind the body": {
      origin: ["POST /p a chunked:abc trailer x-t=1 trailer authorization=Basic eDp5"],
    },
    "trailers: a Trailer field behind the body": {
      origin: ["POST /p a chunked:abc trailer x-t=1 trailer trailer=x-t"],
    },
    "responses: a length as a trailer": { answer: ["200 abc trailer x-t=1 trailer content-length=9"] },
  }),
  ...group(
    "weft reads trailers within its limits even where they are not forwarded; Envoy skips them, and answers 431 to their size",
    {
      "trailers: more trailers than the limit": takes("POST /p a chunked:abc"),
      "trailers: trailers larger than the limit": { answer: ["431"] },
    },
  ),
  ...group(
    "RFC 9110 (15.6.6) has 505 for a version that is not spoken and 400 for what is no version; Envoy answers 426, and speaks HTTP/2 on the same port",
    {
      "targets: no version": { answer: ["426"] },
      "targets: HTTP/2.0": { answer: ["426"] },
      "targets: HTTP/0.9": { answer: ["426"] },
      "targets: HTTP/1.2": { answer: ["426"] },
      "targets: HTTP/2's preface": { answer: ["bad: a bare CR, LF or NUL at 0"] },
    },
  ),
  ...group("a request line is two single spaces (RFC 9112, 3); Envoy takes any number of blanks, and tabs", {
    "targets: a space behind the version": takes("GET /g a"),
    "targets: two spaces behind the method": takes("GET /g a"),
    "targets: two spaces behind the target": takes("GET /g a"),
    "targets: a tab for the first space": takes("GET /g a"),
    "targets: a tab for the second space": takes("GET /g a"),
  }),
  ...group("only OPTIONS asks for a star, and nothing follows it (RFC 9112, 3.2.4); Envoy finds no route for it", {
    "targets: a star and a path": { answer: ["404"], after: "open" },
  }),
  ...group("an absolute URI may have a query and no path (RFC 3986, 3); Envoy finds no route for it", {
    "targets: an absolute target with a query and no path": { answer: ["404"], origin: [] },
  }),
  ...group(
    "RFC 9112 (3.2) asks for 400 when Host is absent, repeated or not a host; Envoy joins two by a comma, and lets an empty one and user information through",
    {
      "targets: an absolute target with user information": takes("GET /x b"),
      "targets: an absolute target and no host": takes("GET /x b x=y"),
      "targets: two hosts": takes("GET /g a,b"),
      "targets: one host twice": takes("GET /g a,a"),
      "targets: an empty host": takes("GET /g"),
      "targets: a host of blanks": takes("GET /g"),
      "targets: a host with user information": takes("GET /g u@a"),
    },
  ),
  ...group(
    "what frames or routes the message stays, whatever Connection says, as in RFC 9110 (7.6.1); Envoy obeys, then frames the body anew or finds no host",
    {
      "connections: Connection can't remove the length": { origin: ["POST /p a chunked:abc"] },
      "connections: Connection can't remove the host": { answer: ["400"], after: "closed", origin: [] },
    },
  ),
  ...group("Proxy-Connection is no field of HTTP; Envoy obeys it", {
    "connections: Proxy-Connection goes no further": { after: "closed" },
  }),
  ...group("weft forwards the answer with its body and closes; Envoy drops the body", {
    "connections: an upgrade that the origin ignores": { answer: ["200"] },
  }),
  ...group(
    "an origin may switch protocols only when asked, and once the request is complete (RFC 9110, 7.8); Envoy forwards the 101",
    {
      "connections: an origin that switches protocols unasked": undefined,
      "connections: an origin that switches before the request is complete": undefined,
    },
  ),
  ...group(
    "there is nothing to wait for without a body; an expectation that nobody meets is 417 (RFC 9110, 10.1.1); 100 is not for HTTP/1.0",
    {
      "connections: Expect without a body": { answer: ["100", "200 ok"] },
      "connections: an unknown expectation": takes("POST /p a expect=200-ok"),
      "connections: a list of expectations": takes("POST /p a expect=100-continue, x"),
      "connections: HTTP/1.0 and an expectation": { answer: ["100", "200 ok"] },
    },
  ),
  ...group("RFC 9112 (6.1) calls the framing of a chunked HTTP/1.0 message faulty; Envoy reads it", {
    "connections: HTTP/1.0 that is chunked": { answer: ["200 ok"], origin: ["POST /g a chunked:abc"] },
    "connections: HTTP/1.0 that is chunked and says keep-alive": takes("POST /g a chunked:abc"),
    "responses: HTTP/1.0 that is chunked": { answer: ["200 abc"] },
  }),
  ...group(
    "a status line is HTTP/1.x, one space and three digits (RFC 9112, 4); Envoy reads others, and sends a status of four digits on",
    {
      "responses: a status of four digits": undefined,
      "responses: two spaces before the status": { answer: ["200 abc"] },
      "responses: a tab before the status": { answer: ["200 abc"] },
      "responses: HTTP/2.0": { answer: ["200 abc"] },
    },
  ),
  ...group("a body without a length that ends in a reset is cut short; Envoy ends it as if it were whole", {
    "responses: a body until the end that is reset": { answer: ["200 abc"], after: "open" },
  }),
  ...group("what Connection names is for one hop (RFC 9110, 7.6.1); Envoy removes it from requests only", {
    "responses: what Connection names goes no further": { answer: ["200 x-hop=1 abc"] },
  }),
};
