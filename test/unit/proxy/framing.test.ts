// Malformed and ambiguous requests: what the client is told, and that the origin sees none of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { cluster, httpListener, raw, routeAll, start, tcpOrigin } from "./harness.ts";

const H = "Host: a\r\n";
const POST = `POST / HTTP/1.1\r\n${H}`;
const CHUNKED = `${POST}Transfer-Encoding: chunked\r\n\r\n`;

/** Refused in the head: nothing reaches the origin. */
const REFUSED: readonly (readonly [string, string, number])[] = [
  ["length and chunked", `${POST}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
  ["chunked and length", `${POST}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n`, 400],
  ["two lengths", `${POST}Content-Length: 1\r\nContent-Length: 1\r\n\r\nx`, 400],
  ["two different lengths", `${POST}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx`, 400],
  ["a list of lengths", `${POST}Content-Length: 1, 1\r\n\r\nx`, 400],
  ["a signed length", `${POST}Content-Length: +1\r\n\r\nx`, 400],
  ["a negative length", `${POST}Content-Length: -1\r\n\r\n`, 400],
  ["a hexadecimal length", `${POST}Content-Length: 0x1\r\n\r\nx`, 400],
  ["an empty length", `${POST}Content-Length:\r\n\r\n`, 400],
  ["a length with a space inside", `${POST}Content-Length: 1 1\r\n\r\nx`, 400],
  ["a huge length", `${POST}Content-Length: 99999999999999999999\r\n\r\n`, 400],
  ["a fractional length", `${POST}Content-Length: 1.0\r\n\r\nx`, 400],
  ["chunked twice", `${POST}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`, 400],
  ["chunked in two lines", `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
  ["gzip, chunked", `${POST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 400],
  ["chunked, identity", `${POST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`, 400],
  ["identity", `${POST}Transfer-Encoding: identity\r\n\r\n`, 501],
  ["xchunked", `${POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`, 501],
  ["an empty coding", `${POST}Transfer-Encoding:\r\n\r\n`, 501],
  ["quoted chunked", `${POST}Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n`, 501],
  ["a space before the colon", `${POST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`, 400],
  ["a tab before the colon", `${POST}Content-Length\t: 1\r\n\r\nx`, 400],
  ["a folded line", `${POST}X: a\r\n b\r\n\r\n`, 400],
  ["a folded line by tab", `${POST}X: a\r\n\tb\r\n\r\n`, 400],
  ["a first line that begins with a space", `GET / HTTP/1.1\r\n Host: a\r\n\r\n`, 400],
  ["a bare LF in the head", `GET / HTTP/1.1\n${H}\r\n`, 400],
  ["bare LFs only", "GET / HTTP/1.1\nHost: a\n\n", 400],
  ["a bare CR in a value", `GET / HTTP/1.1\r\n${H}X: a\rb\r\n\r\n`, 400],
  ["a bare CR in a name", `GET / HTTP/1.1\r\n${H}X\r: a\r\n\r\n`, 400],
  ["a bare LF in a value", `GET / HTTP/1.1\r\n${H}X: a\nb\r\n\r\n`, 400],
  ["a NUL in a value", `GET / HTTP/1.1\r\n${H}X: a\x00b\r\n\r\n`, 400],
  ["a NUL in a name", `GET / HTTP/1.1\r\n${H}X\x00: a\r\n\r\n`, 400],
  ["a DEL in a value", `GET / HTTP/1.1\r\n${H}X: a\x7fb\r\n\r\n`, 400],
  ["an escape in a value", `GET / HTTP/1.1\r\n${H}X: \x1b[0m\r\n\r\n`, 400],
  ["a line without a colon", `GET / HTTP/1.1\r\n${H}nonsense\r\n\r\n`, 400],
  ["an empty name", `GET / HTTP/1.1\r\n${H}: x\r\n\r\n`, 400],
  ["a name with parentheses", `GET / HTTP/1.1\r\n${H}X(y): x\r\n\r\n`, 400],
  ["a name outside ASCII", `GET / HTTP/1.1\r\n${H}\xe9: x\r\n\r\n`, 400],
  ["a name in quotes", `GET / HTTP/1.1\r\n${H}"X": x\r\n\r\n`, 400],
  ["no host", "GET / HTTP/1.1\r\n\r\n", 400],
  ["two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400],
  ["an empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400],
  ["a host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400],
  ["a host with a slash", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400],
  ["a host with user information", "GET / HTTP/1.1\r\nHost: me@a\r\n\r\n", 400],
  ["a list of hosts with a tab", "GET / HTTP/1.1\r\nHost: a\tb\r\n\r\n", 400],
  ["no version", `GET /\r\n${H}\r\n`, 400],
  ["HTTP/1.2 in small letters", `GET / http/1.1\r\n${H}\r\n`, 400],
  ["HTTP/2.0", `GET / HTTP/2.0\r\n${H}\r\n`, 505],
  ["HTTP/1.0 where it is not accepted", `GET / HTTP/1.0\r\n${H}\r\n`, 426],
  ["HTTP/1.11", `GET / HTTP/1.11\r\n${H}\r\n`, 400],
  ["a space in the target", `GET /a b HTTP/1.1\r\n${H}\r\n`, 400],
  ["two spaces", `GET  / HTTP/1.1\r\n${H}\r\n`, 400],
  ["a tab instead of a space", `GET\t/ HTTP/1.1\r\n${H}\r\n`, 400],
  ["a fragment", `GET /#x HTTP/1.1\r\n${H}\r\n`, 400],
  ["a target outside ASCII", `GET /\xe9 HTTP/1.1\r\n${H}\r\n`, 400],
  ["a target that is no path", `GET a HTTP/1.1\r\n${H}\r\n`, 400],
  ["a star for GET", `GET * HTTP/1.1\r\n${H}\r\n`, 400],
  ["a method with a colon", `GE:T / HTTP/1.1\r\n${H}\r\n`, 400],
  ["an empty method", ` / HTTP/1.1\r\n${H}\r\n`, 400],
  ["chunked in HTTP/1.0", `POST / HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 426],
  ["an unknown expectation", `${POST}Expect: 200-ok\r\nContent-Length: 0\r\n\r\n`, 400],
  ["too many headers", `GET / HTTP/1.1\r\n${H}${"X: y\r\n".repeat(101)}\r\n`, 431],
  ["a head that is too large", `GET / HTTP/1.1\r\n${H}X: ${"y".repeat(61 * 1024)}\r\n\r\n`, 431],
];

/** The head is good, the body isn't: the connection ends, and the origin reads no second request. */
const BROKEN: readonly (readonly [string, string])[] = [
  ["a bad chunk size", `${CHUNKED}z\r\nx\r\n0\r\n\r\n`],
  ["a negative chunk size", `${CHUNKED}-1\r\nx\r\n0\r\n\r\n`],
  ["a chunk size in 0x", `${CHUNKED}0x1\r\nx\r\n0\r\n\r\n`],
  ["a chunk size that overflows", `${CHUNKED}ffffffffffffffff1\r\nx\r\n0\r\n\r\n`],
  ["a chunk size with a space before", `${CHUNKED} 1\r\nx\r\n0\r\n\r\n`],
  ["a chunk size behind a bare LF", `${CHUNKED}1\nx\r\n0\r\n\r\n`],
  ["a chunk longer than its size", `${CHUNKED}1\r\nxyz\r\n0\r\n\r\n`],
  ["a chunk that ends in a bare LF", `${CHUNKED}1\r\nx\n0\r\n\r\n`],
  ["a chunk extension with a control character", `${CHUNKED}1;a=\x01\r\nx\r\n0\r\n\r\n`],
  ["a bare CR in a chunk extension", `${CHUNKED}1;a=\rb\r\nx\r\n0\r\n\r\n`],
  ["a bad trailer", `${CHUNKED}0\r\nX y: z\r\n\r\n`],
  ["a folded trailer", `${CHUNKED}0\r\nX: y\r\n z\r\n\r\n`],
];

async function setup() {
  let seen = "";
  const origin = await tcpOrigin((socket) => {
    socket.on("data", (bytes) => {
      seen += bytes.toString("latin1");
    });
  });
  const { port } = await start({
    listeners: [httpListener({ virtualHosts: [routeAll("a")] })],
    clusters: [cluster("a", [origin])],
  });
  return { port, seen: () => seen };
}

const SMUGGLED = `GET /smuggled HTTP/1.1\r\n${H}\r\n`;

test("an ambiguous or malformed head is refused, closed, and never forwarded", async () => {
  const { port, seen } = await setup();
  for (const [name, bytes, status] of REFUSED) {
    const answer = await raw(port, bytes + SMUGGLED);
    assert.ok(answer.startsWith(`HTTP/1.1 ${status} `), `${name}: ${answer.slice(0, 60)}`);
    assert.equal(answer.split("HTTP/1.1 ").length, 2, `${name}: one answer only`);
    assert.equal(seen(), "", name);
  }
});

test("a malformed body ends the connection and nothing behind it is read as a request", async () => {
  const { port, seen } = await setup();
  for (const [name, bytes] of BROKEN) {
    const answer = await raw(port, bytes + SMUGGLED);
    assert.ok(answer.startsWith("HTTP/1.1 400 "), `${name}: ${answer.slice(0, 60)}`);
    assert.ok(!seen().includes("smuggled"), name);
  }
});

test("pieces of any size make the same requests", async () => {
  const got: string[] = [];
  const origin = await tcpOrigin((socket) => {
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
      if (!text.endsWith("0\r\n\r\n") && !/GET[\s\S]*\r\n\r\n$/.test(text)) return;
      got.push(text);
      text = "";
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
  });
  const { port } = await start({
    listeners: [httpListener({ virtualHosts: [routeAll("a", { timeout: "0s" })] })],
    clusters: [cluster("a", [origin])],
  });
  const { connect } = await import("node:net");
  const message = `${CHUNKED}5\r\nhello\r\n6;x\r\n world\r\n0\r\nX-T: 1\r\n\r\nGET /next HTTP/1.1\r\n${H}Connection: close\r\n\r\n`;
  for (const size of [1, 3, 7]) {
    got.length = 0;
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.setNoDelay(true);
      let text = "";
      socket.on("data", (bytes) => {
        text += bytes.toString();
      });
      socket.on("close", () => resolve(text));
      let at = 0;
      const next = () => {
        if (at >= message.length) return;
        socket.write(message.slice(at, at + size), "latin1");
        at += size;
        setImmediate(next);
      };
      next();
    });
    assert.equal(answer.split("HTTP/1.1 200 OK").length, 3, `pieces of ${size}`);
    const body = got.join("");
    assert.ok(body.includes("/next"));
    assert.equal(dechunk(body.slice(body.indexOf("\r\n\r\n") + 4)), "hello world");
  }
});

function dechunk(text: string): string {
  let out = "";
  let at = 0;
  for (;;) {
    const end = text.indexOf("\r\n", at);
    const size = Number.parseInt(text.slice(at, end), 16);
    if (!(size > 0)) return out;
    out += text.slice(end + 2, end + 2 + size);
    at = end + 2 + size + 2;
  }
}
