// The words that the handlers of the HTTPS front share: a request, and what can be answered.

import type { IncomingMessage, ServerResponse } from "node:http";
import { isRecord, parseJson, parseYamlDocuments } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import { BODY_BYTES_MAX, BODY_DEPTH_MAX } from "./limits.ts";
import { decodeProtobuf } from "./protobuf.ts";
import { type ApiFailure, badRequest, failure, toStatus } from "./status.ts";

export interface User {
  readonly name: string;
  readonly groups: readonly string[];
  readonly isAdmin: boolean;
}

/** The cluster's own parts, which ask in process. */
export const SYSTEM_USER: User = { name: "system:weft", groups: ["system:masters"], isAdmin: true };

export interface ApiRequest {
  readonly method: string;
  readonly pathname: string;
  readonly query: URLSearchParams;
  readonly accept: string;
  readonly contentType: string;
  readonly userAgent: string;
  readonly user: User;
  /** Read once, by whoever needs it. */
  readonly message: IncomingMessage;
}

export type Reply =
  | {
      readonly kind: "json";
      readonly code: number;
      readonly body: object;
      readonly contentType?: string;
      readonly warnings?: readonly string[];
    }
  | { readonly kind: "bytes"; readonly body: string | Buffer; readonly contentType: string }
  | { readonly kind: "failed"; readonly error: ApiFailure }
  /** Writes the answer itself and keeps it open. */
  | { readonly kind: "stream"; readonly run: (response: ServerResponse) => void };

export function replyJson(code: number, body: object): Reply {
  return { kind: "json", code, body };
}

export function replyFailed(error: ApiFailure): Reply {
  return { kind: "failed", error };
}

export function send(response: ServerResponse, reply: Reply): void {
  if (response.headersSent || response.destroyed) return;
  switch (reply.kind) {
    case "stream":
      reply.run(response);
      return;
    case "bytes":
      response.writeHead(200, { "content-type": reply.contentType });
      response.end(reply.body);
      return;
    case "failed":
      if (reply.error.code === 429) response.setHeader("retry-after", "1");
      sendJson(response, { code: reply.error.code, body: toStatus(reply.error), contentType: "application/json" });
      return;
    case "json":
      for (const warning of reply.warnings ?? []) response.appendHeader("warning", warningHeader(warning));
      sendJson(response, { code: reply.code, body: reply.body, contentType: reply.contentType ?? "application/json" });
      return;
  }
}

function sendJson(response: ServerResponse, answer: { code: number; body: object; contentType: string }): void {
  response.writeHead(answer.code, { "content-type": answer.contentType, "cache-control": "no-cache, private" });
  response.end(`${JSON.stringify(answer.body)}\n`);
}

const WARNING_CHARS_MAX = 1_000;

/** RFC 7234's 299; a header takes printable ASCII only. */
function warningHeader(text: string): string {
  const plain = text
    .slice(0, WARNING_CHARS_MAX)
    .replaceAll(/[^\x20-\x7e]/g, "?")
    .replaceAll(/["\\]/g, "\\$&");
  return `299 - "${plain}"`;
}

/** The body as data: JSON, or YAML as kubectl's raw mode sends it. */
export async function readBody(request: ApiRequest): Promise<Result<unknown, ApiFailure>> {
  const bytes = await readBytes(request.message);
  if (!bytes.ok) return bytes;
  const type = request.contentType.split(";")[0]?.trim() ?? "";
  if (type.includes("cbor")) {
    return err(failure(415, "UnsupportedMediaType", `the body is ${type}; send application/json or application/yaml`));
  }
  if (type.includes("protobuf") && bytes.value.length > 0) {
    const decoded = decodeProtobuf(bytes.value);
    return decoded.ok
      ? decoded
      : err(failure(415, "UnsupportedMediaType", `cannot read the ${type} body: ${decoded.error}`));
  }
  const text = bytes.value.toString("utf8");
  if (text.trim() === "") return ok(undefined);
  const parsed = type.includes("yaml") ? parseOneYaml(text) : parseJson(text);
  if (!parsed.ok)
    return err(badRequest(`cannot read the body as ${type.includes("yaml") ? "YAML" : "JSON"}: ${parsed.error}`));
  if (isDeeperThan(parsed.value, BODY_DEPTH_MAX)) {
    return err(badRequest(`the body is nested deeper than ${BODY_DEPTH_MAX} levels`));
  }
  return parsed;
}

function parseOneYaml(text: string): Result<unknown, string> {
  const documents = parseYamlDocuments(text);
  if (!documents.ok) return documents;
  return documents.value.length === 1
    ? ok(documents.value[0]?.value)
    : err(`want one document, got ${documents.value.length}`);
}

async function readBytes(message: IncomingMessage): Promise<Result<Buffer, ApiFailure>> {
  const tooLarge = failure(
    413,
    "RequestEntityTooLarge",
    `the request body is larger than the limit of ${BODY_BYTES_MAX} bytes`,
  );
  if (Number(message.headers["content-length"] ?? 0) > BODY_BYTES_MAX) return err(tooLarge);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of message) {
      const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
      size += bytes.length;
      if (size > BODY_BYTES_MAX) return err(tooLarge);
      chunks.push(bytes);
    }
  } catch (error) {
    return err(badRequest(`the body did not arrive whole: ${error instanceof Error ? error.message : String(error)}`));
  }
  return ok(Buffer.concat(chunks));
}

/** Without recursion, since the depth is what is in question. */
function isDeeperThan(value: unknown, depthMax: number): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > depthMax) return true;
    level = level.flatMap((item) => (Array.isArray(item) ? item : isRecord(item) ? Object.values(item) : []));
  }
  return false;
}
