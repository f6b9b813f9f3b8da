import assert from "node:assert/strict";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { constants, createDeflate } from "node:zlib";
import { SPDY_DICTIONARY, type SpdyHeaders, SpdySession } from "../../../src/apiserver/spdy.ts";

/** What zlib writes into a stream's head about its dictionary. */
function adler32(bytes: Buffer): number {
  let [a, b] = [1, 0];
  for (const byte of bytes) {
    a = (a + byte) % 65_521;
    b = (b + a) % 65_521;
  }
  return b * 65_536 + a;
}

test("the dictionary is the one that every SPDY/3 speaker has", () => {
  assert.equal(SPDY_DICTIONARY.length, 1423);
  assert.equal(adler32(SPDY_DICTIONARY).toString(16), "e3c6a7c2");
});

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** The client's side, as far as these tests need it. */
class Client {
  readonly #deflate = createDeflate({ dictionary: SPDY_DICTIONARY, flush: constants.Z_SYNC_FLUSH });

  async open(id: number, headers: Record<string, string>): Promise<Buffer> {
    const pairs = Object.entries(headers).flatMap((pair) =>
      pair.flatMap((word) => [uint32(word.length), Buffer.from(word)]),
    );
    const plain = Buffer.concat([uint32(Object.keys(headers).length), ...pairs]);
    const block: Buffer = await new Promise((resolve) =>
      this.#deflate.write(plain, () => resolve(this.#deflate.read() as Buffer)),
    );
    const body = Buffer.concat([uint32(id), uint32(0), Buffer.alloc(2), block]);
    return Buffer.concat([Buffer.from([0x80, 3, 0, 1, 0]), uint32(body.length).subarray(1), body]);
  }

  data(id: number, content: string, isLast = false): Buffer {
    return Buffer.concat([
      uint32(id),
      Buffer.from([isLast ? 1 : 0]),
      uint32(Buffer.byteLength(content)).subarray(1),
      Buffer.from(content),
    ]);
  }
}

test("streams carry headers and bytes, however the frames are cut", async () => {
  const client = new Client();
  const frames = Buffer.concat([
    await client.open(1, { streamtype: "error", port: "80" }),
    await client.open(3, { streamtype: "data", port: "80" }),
    client.data(3, "hello "),
    client.data(1, "", true),
    client.data(3, "there", true),
  ]);
  for (const size of [1, 7, frames.length]) {
    const seen: SpdyHeaders[] = [];
    const contents: Promise<string>[] = [];
    const sent: Buffer[] = [];
    const session = new SpdySession({
      send: (bytes, done) => {
        sent.push(bytes);
        done();
      },
      onStream: (stream, headers) => {
        seen.push(headers);
        contents.push(text(stream));
        stream.end("bye");
      },
      onFailure: (message) => assert.fail(message),
    });
    for (let at = 0; at < frames.length; at += size) await session.receive(frames.subarray(at, at + size));
    assert.deepEqual(
      seen.map((headers) => headers.get("streamtype")),
      ["error", "data"],
    );
    assert.deepEqual(await Promise.all(contents), ["", "hello there"]);
    const data = sent.filter((bytes) => ((bytes[0] ?? 0) & 0x80) === 0);
    assert.equal(data.filter((bytes) => bytes.includes("bye")).length, 2);
    // Each stream ends with a frame that says so.
    assert.equal(data.filter((bytes) => bytes[4] === 1).length, 2);
    session.close();
  }
});

test("what is no SPDY/3.1 ends the tunnel", async () => {
  const failures: string[] = [];
  const session = new SpdySession({
    send: () => undefined,
    onStream: () => undefined,
    onFailure: (message) => failures.push(message),
  });
  await session.receive(Buffer.from([0x80, 2, 0, 1, 0, 0, 0, 0]));
  assert.deepEqual(failures, ["SPDY version 2 is not spoken here"]);
  session.close();
});
