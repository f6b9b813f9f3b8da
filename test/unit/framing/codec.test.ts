// The framing corpus on the codecs alone: cut at every byte, a message is the same message.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ClientCodec } from "../../../src/proxy/codec/client.ts";
import { ServerCodec } from "../../../src/proxy/codec/server.ts";
import { type FramingCase, SENTINEL } from "../../framing/case.ts";
import { framingCases } from "../../framing/cases.ts";

/** Longer texts are cut at this many places. */
const CUTS_MAX = 600;
const OPTIONS = { headersCountMax: 100, acceptHttp10: true, allowCustomMethods: true, headBytesMax: 60 * 1024 };

describe("the framing corpus on the codecs", () => {
  for (const [theme, cases] of Object.entries(framingCases)) {
    it(`${theme}: cut in two at every byte, and in single bytes`, () => {
      for (const one of cases) {
        checkCuts(one.name, joined(one.send) + SENTINEL, readRequests);
        if (one.origin1 !== undefined)
          checkCuts(one.name, joined(one.origin1.bytes), (pieces) => readResponse(pieces, one));
      }
    });
  }
});

function joined(text: string | readonly string[]): string {
  return typeof text === "string" ? text : text.join("");
}

function checkCuts(name: string, text: string, read: (pieces: readonly string[]) => string): void {
  const whole = read([text]);
  if (text.length <= CUTS_MAX) assert.ok(read([...text]) === whole, `${name}: byte by byte`);
  const step = Math.max(1, Math.ceil(text.length / CUTS_MAX));
  for (let at = 1; at < text.length; at += step) {
    assert.ok(read([text.slice(0, at), text.slice(at)]) === whole, `${name}: cut at ${at}`);
  }
}

/** What the codec hands over, body pieces joined. */
function readRequests(pieces: readonly string[]): string {
  let trace = "";
  const codec: ServerCodec = new ServerCodec(
    {
      onRequest(head, ended) {
        trace += `[${head.method} ${head.authority} ${head.path} ${head.framing} ${head.headers.raw.join("|")}]`;
        if (ended) setUp();
      },
      onBody(chunk) {
        trace += chunk.toString("latin1");
      },
      onEnd(trailers) {
        trace += `[end ${trailers?.raw.join("|") ?? ""}]`;
        setUp();
      },
      onProtocolError(error, inBody) {
        // A bare LF is seen before the rest of the head is there, and called so then; the answer is the same.
        trace += `[${error.status} ${inBody}]`;
      },
      onTunnel() {
        trace += "[tunnel]";
      },
      onPipelinedTooMuch() {
        trace += "";
      },
    },
    OPTIONS,
  );
  // As the connection does once the response is written.
  const setUp = () => queue.push(() => codec.readNext());
  const queue: (() => void)[] = [];
  for (const piece of pieces) {
    codec.push(Buffer.from(piece, "latin1"));
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) next();
  }
  return `${trace}[${codec.state}]`;
}

function readResponse(pieces: readonly string[], one: FramingCase): string {
  let trace = "";
  const codec = new ClientCodec(OPTIONS);
  codec.begin(/^\S+/.exec(joined(one.send))?.[0] ?? "", {
    onInformational(head) {
      trace += `[${head.status}]`;
    },
    onResponse(head, ended) {
      trace += `[${head.status} ${head.framing} ${ended} ${head.headers.raw.join("|")}]`;
    },
    onBody(chunk) {
      trace += chunk.toString("latin1");
    },
    onEnd(trailers) {
      trace += `[end ${trailers?.raw.join("|") ?? ""}]`;
    },
    onProtocolError() {
      trace += "[protocol error]";
    },
    onTunnel(chunk) {
      trace += chunk.toString("latin1");
    },
  });
  for (const piece of pieces) if (!codec.push(Buffer.from(piece, "latin1"))) break;
  return trace;
}
