// Requests behind requests: pipelining, CL.0 and 0.CL, pauses, answers that come before the request's end.

import { CHUNKED, EVIL, type FramingCase, get, H, post, served, servedLast, unfinished } from "./case.ts";

const CHUNK = "3\r\nabc\r\n0\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

export const pipelineCases: readonly FramingCase[] = [
  served("two requests", get() + get("", "/2"), "GET /g a", "GET /2 a"),
  served("ten requests", get().repeat(10), ...Array.from({ length: 10 }, () => "GET /g a")),
  served("a body, then a request", post("Content-Length: 3\r\n", "abc") + get(), "POST /p a length:abc", "GET /g a"),
  served("chunks, then a request", `${CHUNKED}${CHUNK}${get()}`, "POST /p a chunked:abc", "GET /g a"),
  served(
    "bodies of both kinds in turn",
    (post("Content-Length: 3\r\n", "abc") + CHUNKED + CHUNK).repeat(2),
    "POST /p a length:abc",
    "POST /p a chunked:abc",
    "POST /p a length:abc",
    "POST /p a chunked:abc",
  ),
  served("an empty line between two requests", `${get()}\r\n${get("", "/2")}`, "GET /g a", "GET /2 a"),
  served(
    "an empty line behind a body",
    `${post("Content-Length: 3\r\n", "abc")}\r\n${get()}`,
    "POST /p a length:abc",
    "GET /g a",
  ),
  servedLast("nothing behind the last request is read", get("Connection: close\r\n") + EVIL, "GET /g a"),
  servedLast(
    "a body and nothing behind the last request",
    post("Connection: close\r\nContent-Length: 3\r\n", `abc${EVIL}`),
    "POST /p a length:abc",
  ),
  {
    ...served(
      "a good request, then a bad one",
      get() + post("Content-Length: 1\r\nContent-Length: 1\r\n", "x"),
      "GET /g a",
    ),
    answer: ["200 ok", "400"],
    after: "closed",
    details: "via_upstream",
  },
  {
    ...served("a good request, then half a head that is bad", `${get()}GET /g HTTP/1.1\n`, "GET /g a"),
    answer: ["200 ok", "400"],
    after: "closed",
    details: "via_upstream",
  },
  served(
    "CL.0: a body that would be a request",
    get(`Content-Length: ${EVIL.length}\r\n`) + EVIL,
    `GET /g a length:${EVIL}`,
  ),
  {
    ...served(
      "CL.0 by HEAD",
      `HEAD /g HTTP/1.1\r\n${H}Content-Length: ${EVIL.length}\r\n\r\n${EVIL}`,
      `HEAD /g a length:${EVIL}`,
    ),
    answer: ["200"],
  },
  served(
    "CL.0 by OPTIONS",
    `OPTIONS /g HTTP/1.1\r\n${H}Content-Length: ${EVIL.length}\r\n\r\n${EVIL}`,
    `OPTIONS /g a length:${EVIL}`,
  ),
  served(
    "CL.0 by DELETE",
    `DELETE /g HTTP/1.1\r\n${H}Content-Length: ${EVIL.length}\r\n\r\n${EVIL}`,
    `DELETE /g a length:${EVIL}`,
  ),
  served(
    "0.CL: two requests and the length in the second",
    get("Content-Length: 0\r\n") + post("Content-Length: 3\r\n", "abc"),
    "GET /g a",
    "POST /p a length:abc",
  ),
  served("a pause in the body", [post("Content-Length: 6\r\n", "abc"), "def"], "POST /p a length:abcdef"),
  served(
    "a pause between head and body",
    [post(`Content-Length: ${EVIL.length}\r\n`), EVIL],
    `POST /p a length:${EVIL}`,
  ),
  served("a pause in the head", [`GET /g HTTP/1.1\r\nHo`, "st: a\r\n\r\n"], "GET /g a"),
  served("a pause inside the empty line", [`GET /g HTTP/1.1\r\n${H}\r`, "\n"], "GET /g a"),
  served("a pause in a chunk's size", [`${CHUNKED}3`, "\r\nabc\r\n0\r\n\r\n"], "POST /p a chunked:abc"),
  served("a pause in a chunk", [`${CHUNKED}3\r\na`, "bc\r\n0\r\n\r\n"], "POST /p a chunked:abc"),
  served("a pause in a chunk's line end", [`${CHUNKED}3\r\nabc\r`, "\n0\r\n\r\n"], "POST /p a chunked:abc"),
  served("a pause before the last empty line", [`${CHUNKED}3\r\nabc\r\n0\r\n`, "\r\n"], "POST /p a chunked:abc"),
  served("a pause inside the last empty line", [`${CHUNKED}3\r\nabc\r\n0\r\n\r`, "\n"], "POST /p a chunked:abc"),
  served("a pause between two requests", [get(), get("", "/2")], "GET /g a", "GET /2 a"),
  {
    ...served("an answer before the body, and the body behind", [post(`Content-Length: ${EVIL.length}\r\n`), EVIL]),
    answer: ["200 ok"],
    after: "closed",
    cut: "POST /p a",
    origin1: { bytes: OK, early: true },
  },
  {
    ...served("an answer before the last chunk", [
      `${CHUNKED}3\r\nabc\r\n`,
      `${EVIL.length.toString(16)}\r\n${EVIL}\r\n0\r\n\r\n`,
    ]),
    answer: ["200 ok"],
    after: "closed",
    cut: "POST /p a",
    origin1: { bytes: OK, early: true },
  },
  unfinished("half a request behind a pause", ["POST /p HTTP/1.1\r\n", `${H}Content-Length: 5\r\n\r\nab`]),
  {
    ...unfinished("a request, then half a request", `${get()}GET /evil HT`, "none"),
    answer: ["200 ok"],
    origin: ["GET /g a"],
  },
];
