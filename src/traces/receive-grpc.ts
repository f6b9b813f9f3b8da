// Reports over gRPC: the one unary method of OTLP's TraceService. On bare HTTP/2, since a second copy of the gRPC library in
// the store's thread would cost more memory than all the rest of it.

import { createServer, type Http2Server, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { err, ok, type Result } from "../base/result.ts";
import type { Intake } from "./intake.ts";
import { REPORT_BYTES_MAX, REPORT_TIMEOUT_MS } from "./limits.ts";
import { readOtlp } from "./read-otlp.ts";
import { plainBytes } from "./receive-http.ts";

const EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/** gRPC's status codes. */
const OK = 0;
const INVALID_ARGUMENT = 3;
const RESOURCE_EXHAUSTED = 8;
const UNIMPLEMENTED = 12;
/** A flag byte and four of length. */
const FRAME_BYTES = 5;
/** An empty ExportTraceServiceResponse. */
const EMPTY = Buffer.alloc(FRAME_BYTES);

export function grpcReceiver(intake: Intake): Http2Server {
  const server = createServer({ settings: { maxConcurrentStreams: 64 } });
  server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on("error", () => stream.destroy());
    stream.setTimeout(REPORT_TIMEOUT_MS, () => stream.destroy());
    void serve(stream, headers, intake);
  });
  // A client that goes away takes its streams with it.
  server.on("sessionError", () => undefined);
  return server;
}

async function serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, intake: Intake): Promise<void> {
  if (headers[":path"] !== EXPORT) {
    stream.resume();
    finish(stream, UNIMPLEMENTED, "only spans are stored here");
    return;
  }
  const message = await messageOf(stream, headers["grpc-encoding"]);
  if (stream.destroyed) return;
  if (!message.ok) {
    intake.onMalformed();
    finish(stream, INVALID_ARGUMENT, message.error);
    return;
  }
  const spans = readOtlp(message.value);
  if (!spans.ok) {
    intake.onMalformed();
    finish(stream, INVALID_ARGUMENT, spans.error);
    return;
  }
  const rejected = intake.take(spans.value, "otlp-grpc");
  if (rejected > 0 && rejected === spans.value.length)
    finish(stream, RESOURCE_EXHAUSTED, "the trace store has no room");
  else finish(stream, OK, "");
}

function finish(stream: ServerHttp2Stream, status: number, message: string): void {
  const trailers = { "grpc-status": String(status), "grpc-message": encodeURIComponent(message) };
  const head = { ":status": 200, "content-type": "application/grpc" };
  if (status !== OK) {
    stream.respond({ ...head, ...trailers }, { endStream: true });
    return;
  }
  stream.respond(head, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  stream.end(EMPTY);
}

async function messageOf(stream: ServerHttp2Stream, encoding: unknown): Promise<Result<Buffer, string>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of stream) {
      if (!Buffer.isBuffer(chunk)) continue;
      bytes += chunk.length;
      if (bytes > REPORT_BYTES_MAX) return err("the report is too large");
      chunks.push(chunk);
    }
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
  const all = Buffer.concat(chunks);
  if (all.length < FRAME_BYTES || all.readUInt32BE(1) !== all.length - FRAME_BYTES)
    return err("one message is expected");
  const message = all.subarray(FRAME_BYTES);
  return all[0] === 1 ? plainBytes(message, typeof encoding === "string" ? encoding : "") : ok(message);
}
