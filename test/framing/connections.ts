// Connection, Upgrade, Expect, HTTP/1.0, sizes (RFC 9110, sections 7.6, 7.8 and 10.1.1; RFC 9112, section 9).

import { EVIL, type FramingCase, get, H, post, refused, rich, served, servedLast } from "./case.ts";

const END = "3\r\nabc\r\n0\r\n\r\n";
const WS = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const V10 = (lines = "", method = "GET"): string => `${method} /g HTTP/1.0\r\n${H}${lines}\r\n`;

export const connectionCases: readonly FramingCase[] = [
  servedLast("Connection: close", get("Connection: close\r\n"), "GET /g a"),
  servedLast("Connection: CLOSE", get("Connection: CLOSE\r\n"), "GET /g a"),
  servedLast("close in a list", get("Connection: x-a, close\r\nX-A: 1\r\n"), "GET /g a"),
  servedLast("close in a second line", get("Connection: keep-alive\r\nConnection: close\r\n"), "GET /g a"),
  served("Connection: keep-alive", get("Connection: keep-alive\r\n"), "GET /g a"),
  served("an empty Connection", get("Connection:\r\n"), "GET /g a"),
  served("closed is not close", get("Connection: closed\r\n"), "GET /g a"),
  served(
    "what Connection names goes no further",
    get("Connection: X-Hop\r\nX-Hop: 1\r\nX-Own: 2\r\n"),
    "GET /g a x-own=2",
  ),
  served(
    "Connection can't remove the length",
    post("Connection: Content-Length\r\nContent-Length: 3\r\n", "abc"),
    "POST /p a length:abc",
  ),
  served(
    "Connection can't remove the coding",
    post("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", END),
    "POST /p a chunked:abc",
  ),
  served("Connection can't remove the host", get("Connection: Host\r\n"), "GET /g a"),
  served("Keep-Alive goes no further", get("Keep-Alive: timeout=5\r\n"), "GET /g a"),
  served("Proxy-Connection goes no further", get("Proxy-Connection: close\r\n"), "GET /g a"),
  served("TE goes no further", get("TE: gzip\r\n"), "GET /g a"),
  served("an upgrade without its connection token", get("Upgrade: websocket\r\n"), "GET /g a"),
  served("a connection token without its upgrade", get("Connection: upgrade\r\n"), "GET /g a"),
  served(
    "an upgrade to h2c is ignored",
    get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"),
    "GET /g a",
  ),
  { ...servedLast("an upgrade where none is allowed", get(WS)), answer: ["403"] },
  rich({
    ...served(
      "an upgrade, and bytes both ways",
      [get(WS), "hello"],
      `GET /g a connection=upgrade upgrade=websocket`,
      "tunnel hello",
    ),
    answer: ["101 upgrade=websocket", "tunnel HI"],
    after: "half-closed",
    origin1: { bytes: [SWITCH, "HI"] },
  }),
  rich({
    ...served(
      "a request behind an upgrade is no request",
      get(WS).concat(EVIL),
      `GET /g a connection=upgrade upgrade=websocket`,
      `tunnel ${EVIL}`,
    ),
    answer: ["101 upgrade=websocket"],
    after: "half-closed",
    origin1: { bytes: SWITCH },
  }),
  rich(servedLast("an upgrade that the origin ignores", get(WS), "GET /g a connection=upgrade upgrade=websocket")),
  {
    ...served("an origin that switches protocols unasked", get(), "GET /g a"),
    answer: ["502"],
    origin1: { bytes: `${SWITCH}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil` },
  },
  rich({
    ...served("an origin that switches before the request is complete", [
      post(`${WS}Transfer-Encoding: chunked\r\n`, "3\r\nabc\r\n"),
      "0\r\n\r\n",
    ]),
    answer: ["502"],
    after: "closed",
    origin1: { bytes: SWITCH, early: true },
    cut: "POST /p a connection=upgrade upgrade=websocket",
  }),
  {
    ...served(
      "Expect: 100-continue",
      post("Expect: 100-continue\r\nContent-Length: 3\r\n", "abc"),
      "POST /p a length:abc",
    ),
    answer: ["100", "200 ok"],
  },
  {
    ...served(
      "Expect in capitals",
      post("Expect: 100-CONTINUE\r\nContent-Length: 3\r\n", "abc"),
      "POST /p a length:abc",
    ),
    answer: ["100", "200 ok"],
  },
  {
    ...served(
      "Expect with a chunked body",
      post("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", END),
      "POST /p a chunked:abc",
    ),
    answer: ["100", "200 ok"],
  },
  served("Expect without a body", get("Expect: 100-continue\r\n"), "GET /g a"),
  refused(
    "an unknown expectation",
    post("Expect: 200-ok\r\nContent-Length: 0\r\n"),
    "an_expectation_other_than_100_continue",
    417,
  ),
  refused(
    "a list of expectations",
    post("Expect: 100-continue, x\r\nContent-Length: 0\r\n"),
    "an_expectation_other_than_100_continue",
    417,
  ),
  rich(servedLast("HTTP/1.0", V10(), "GET /g a")),
  rich(served("HTTP/1.0 with keep-alive", V10("Connection: keep-alive\r\n"), "GET /g a")),
  rich(servedLast("HTTP/1.0 with a body", `${V10("Content-Length: 3\r\n", "POST")}abc`, "POST /g a length:abc")),
  rich(
    servedLast(
      "HTTP/1.0 and an expectation",
      `${V10("Expect: 100-continue\r\nContent-Length: 3\r\n", "POST")}abc`,
      "POST /g a length:abc",
    ),
  ),
  rich(
    refused(
      "HTTP/1.0 that is chunked",
      `${V10("Transfer-Encoding: chunked\r\n", "POST")}${END}`,
      "transfer_encoding_in_http_1_0",
    ),
  ),
  rich(
    refused(
      "HTTP/1.0 that is chunked and says keep-alive",
      `${V10("Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n", "POST")}${END}`,
      "transfer_encoding_in_http_1_0",
    ),
  ),
  rich(refused("HTTP/1.0 without a host", "GET /g HTTP/1.0\r\n\r\n", "no_host_header")),
  rich(refused("HTTP/0.9", "GET /g\r\n\r\n", "the_request_line_is_not_method_target_version")),
  rich({
    ...servedLast("a chunked response for HTTP/1.0", V10(), "GET /g a"),
    answer: ["200 abc"],
    origin1: { bytes: `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${END}` },
  }),
  served("as many headers as the limit", get("X: y\r\n".repeat(96)), `GET /g a${" x=y".repeat(96)}`),
  refused(
    "more headers than the limit",
    get("X: y\r\n".repeat(101)),
    "there_are_more_header_lines_than_the_limit_allows",
    431,
  ),
  refused(
    "a value larger than the limit",
    get(`X: ${"y".repeat(61 * 1024)}\r\n`),
    "the_head_is_larger_than_the_limit",
    431,
  ),
  refused(
    "a name larger than the limit",
    get(`${"x".repeat(61 * 1024)}: y\r\n`),
    "the_head_is_larger_than_the_limit",
    431,
  ),
  refused(
    "a target larger than the limit",
    get("", `/${"x".repeat(61 * 1024)}`),
    "the_head_is_larger_than_the_limit",
    431,
  ),
  refused(
    "a head without an end",
    `GET /g HTTP/1.1\r\n${H}X: ${"y".repeat(62 * 1024)}`,
    "the_head_is_larger_than_the_limit",
    431,
  ),
];
