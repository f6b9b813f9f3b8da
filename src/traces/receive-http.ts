// Reports over HTTP: OTLP (protobuf and JSON) and Zipkin v2, on whichever port.

import http from "node:http";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { err, ok, type Result } from "../base/result.ts";
import type { RawSpan } from "./bounded.ts";
import type { Intake, Protocol } from "./intake.ts";
import { CONNECTIONS_MAX, REPORT_BYTES_MAX, REPORT_PLAIN_BYTES_MAX, REPORT_TIMEOUT_MS } from "./limits.ts";
import { readOtlp, readOtlpJson } from "./read-otlp.ts";
import { readZipkin } from "./read-zipkin.ts";

export function httpReceiver(intake: Intake): http.Server {
  const server = http.createServer({ requestTimeout: REPORT_TIMEOUT_MS }, (request, response) => {
    void receive(request, intake).then(({ status, type, body }) => {
      response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) });
      response.end(body);
    });
  });
  server.maxConnections = CONNECTIONS_MAX;
  return server;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string | Buffer;
}

interface Report {
  readonly protocol: Protocol;
  readonly read: (bytes: Buffer) => Result<readonly RawSpan[], string>;
  /** To one of which so many found no room. */
  readonly answer: (rejected: number) => Answer;
}

const NOTHING = Buffer.alloc(0);

async function receive(request: http.IncomingMessage, intake: Intake): Promise<Answer> {
  const report = reportOf(request);
  if (typeof report === "number") {
    request.resume();
    return plain(report, report === 404 ? "POST spans to /v1/traces (OTLP) or /api/v2/spans (Zipkin)" : "");
  }
  const body = await bodyOf(request);
  if (!body.ok) {
    intake.onMalformed();
    return plain(body.error === TOO_LARGE ? 413 : 400, body.error);
  }
  const spans = report.read(body.value);
  if (!spans.ok) {
    intake.onMalformed();
    return plain(400, spans.error);
  }
  const rejected = intake.take(spans.value, report.protocol);
  // Whoever sent it may try again.
  if (rejected > 0 && rejected === spans.value.length) return plain(503, "the trace store has no room just now");
  return report.answer(rejected);
}

function reportOf(request: http.IncomingMessage): Report | number {
  const path = (request.url ?? "").split("?")[0];
  if (path !== "/v1/traces" && path !== "/api/v2/spans") return 404;
  if (request.method !== "POST") return 405;
  const type = (request.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
  if (path === "/api/v2/spans") {
    if (type !== "application/json" && type !== "") return 415;
    return { protocol: "zipkin", read: readZipkin, answer: () => plain(202, "") };
  }
  if (type === "application/json") {
    return { protocol: "otlp-http", read: readOtlpJson, answer: (rejected) => json(partial(rejected)) };
  }
  if (type !== "application/x-protobuf") return 415;
  return { protocol: "otlp-http", read: readOtlp, answer: () => ({ status: 200, type, body: NOTHING }) };
}

function partial(rejectedSpans: number): unknown {
  return rejectedSpans === 0 ? {} : { partialSuccess: { rejectedSpans, errorMessage: "the trace store is full" } };
}

function plain(status: number, message: string): Answer {
  return { status, type: "text/plain; charset=UTF-8", body: message === "" ? "" : `${message}\n` };
}

function json(value: unknown): Answer {
  return { status: 200, type: "application/json", body: JSON.stringify(value) };
}

const TOO_LARGE = "the report is too large";
const unzip = promisify(gunzip);

async function bodyOf(request: http.IncomingMessage): Promise<Result<Buffer, string>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request) {
      if (!Buffer.isBuffer(chunk)) continue;
      bytes += chunk.length;
      if (bytes > REPORT_BYTES_MAX) return err(TOO_LARGE);
      chunks.push(chunk);
    }
    return await plainBytes(Buffer.concat(chunks), request.headers["content-encoding"]);
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}

export async function plainBytes(bytes: Buffer, encoding: string | undefined): Promise<Result<Buffer, string>> {
  if (encoding === undefined || encoding === "identity") return ok(bytes);
  if (encoding !== "gzip") return err(`the encoding ${encoding} is not known`);
  return unzip(bytes, { maxOutputLength: REPORT_PLAIN_BYTES_MAX }).then(
    (unzipped) => ok(unzipped),
    (error: unknown) => err(error instanceof Error ? error.message : String(error)),
  );
}
