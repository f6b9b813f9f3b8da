// Requests to a cluster from outside its process, by its kubeconfig: for commands that only look or apply.

import { readFileSync } from "node:fs";
import type { ClientRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { isRecord, parseJson, parseYamlDocuments } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";

export interface Credentials {
  readonly server: string;
  readonly ca: string | undefined;
  readonly token: string | undefined;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  /** What the server says beside the answer: Kubernetes' `Warning` headers. */
  readonly warnings: readonly string[];
}

export interface RemoteRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string;
  /** Of the answer; JSON when absent. */
  readonly accept?: string;
}

const TIMEOUT_MS = 10_000;

export function readCredentials(kubeconfigPath: string): Result<Credentials, string> {
  let text: string;
  try {
    text = readFileSync(kubeconfigPath, "utf8");
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
  const parsed = parseYamlDocuments(text);
  if (!parsed.ok) return parsed;
  const config = parsed.value[0]?.value;
  const cluster = firstOf(config, "clusters", "cluster");
  const user = firstOf(config, "users", "user");
  const server = cluster["server"];
  if (typeof server !== "string") return err(`${kubeconfigPath} names no server`);
  return ok({
    server,
    ca: decoded(cluster["certificate-authority-data"]),
    token: typeof user["token"] === "string" ? user["token"] : undefined,
    certificate: decoded(user["client-certificate-data"]),
    key: decoded(user["client-key-data"]),
  });
}

/** An answer of any type. */
export interface TextAnswer {
  readonly status: number;
  readonly text: string;
  readonly warnings: readonly string[];
}

export async function askApi(credentials: Credentials, request: RemoteRequest): Promise<Result<Answer, string>> {
  const answer = await askText(credentials, request);
  if (!answer.ok) return answer;
  const { status, text, warnings } = answer.value;
  const body = parseJson(text);
  if (!body.ok) return err(`${credentials.server} did not answer in JSON: ${body.error}`);
  return ok({ status, body: body.value, warnings });
}

export function askText(credentials: Credentials, request: RemoteRequest): Promise<Result<TextAnswer, string>> {
  const { promise, resolve } = Promise.withResolvers<Result<TextAnswer, string>>();
  const outgoing = open(credentials, request);
  outgoing.setTimeout(TIMEOUT_MS);
  outgoing.on("timeout", () => outgoing.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
  outgoing.on("error", (error) => resolve(err(`${credentials.server}: ${error.message}`)));
  outgoing.on("response", (response) => {
    const chunks: Buffer[] = [];
    response.on("data", (chunk: Buffer) => chunks.push(chunk));
    response.on("error", (error) => resolve(err(error.message)));
    response.on("end", () => {
      const text = Buffer.concat(chunks).toString("utf8");
      resolve(ok({ status: response.statusCode ?? 0, text, warnings: warningsOf(response.headers) }));
    });
  });
  outgoing.end(request.body === undefined ? undefined : JSON.stringify(request.body));
  return promise;
}

/** Hands on an answer as it comes, for as long as it comes. */
export function readApi(
  credentials: Credentials,
  path: string,
  onChunk: (chunk: Buffer) => void,
): Promise<Result<void, string>> {
  const { promise, resolve } = Promise.withResolvers<Result<void, string>>();
  const outgoing = open(credentials, { method: "GET", path, accept: "*/*" });
  outgoing.on("error", (error) => resolve(err(`${credentials.server}: ${error.message}`)));
  outgoing.on("response", (response) => {
    const isRefused = (response.statusCode ?? 0) >= 300;
    const refusal: Buffer[] = [];
    response.on("data", (chunk: Buffer) => {
      if (isRefused) refusal.push(chunk);
      else onChunk(chunk);
    });
    response.on("error", (error) => resolve(err(error.message)));
    response.on("end", () => {
      const body = parseJson(Buffer.concat(refusal).toString("utf8"));
      const message = body.ok && isRecord(body.value) ? body.value["message"] : undefined;
      resolve(isRefused ? err(String(message ?? `the API answered ${response.statusCode}`)) : ok(undefined));
    });
  });
  outgoing.end();
  return promise;
}

function open(credentials: Credentials, request: RemoteRequest): ClientRequest {
  return httpsRequest(new URL(request.path, credentials.server), {
    method: request.method,
    agent: false,
    ...(credentials.ca === undefined ? {} : { ca: credentials.ca }),
    ...(credentials.certificate === undefined ? {} : { cert: credentials.certificate }),
    ...(credentials.key === undefined ? {} : { key: credentials.key }),
    headers: {
      accept: request.accept ?? "application/json",
      ...(credentials.token === undefined ? {} : { authorization: `Bearer ${credentials.token}` }),
      ...(request.body === undefined ? {} : { "content-type": request.contentType ?? "application/json" }),
    },
  });
}

/** `299 - "text"`, several joined by commas. */
function warningsOf(headers: { readonly [name: string]: string | string[] | undefined }): readonly string[] {
  const header = headers["warning"];
  const text = Array.isArray(header) ? header.join(", ") : (header ?? "");
  return [...text.matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)].map((match) => (match[1] ?? "").replace(/\\(.)/g, "$1"));
}

function firstOf(config: unknown, list: string, field: string): Readonly<Record<string, unknown>> {
  const entries = isRecord(config) ? config[list] : undefined;
  const first: unknown = Array.isArray(entries) ? entries[0] : undefined;
  const inner = isRecord(first) ? first[field] : undefined;
  return isRecord(inner) ? inner : {};
}

function decoded(value: unknown): string | undefined {
  return typeof value === "string" ? Buffer.from(value, "base64").toString("utf8") : undefined;
}
