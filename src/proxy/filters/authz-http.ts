// Asking an authorizer over HTTP: a request without its body, or with some of it; the answer's status is the decision.

import { HeaderList } from "../codec/headers.ts";
import type { ExtAuthzConfig, HttpAuthorizer } from "../compile/ext-authz.ts";
import { AUTHZ_ANSWER_BYTES_MAX } from "../limits.ts";
import { type AuthzAnswer, type HeaderEdit, isFraming } from "./authz-answer.ts";
import type { Caller, CallRequest, CallResult } from "./caller.ts";
import type { Exchange } from "./filter.ts";

export function askHttp(
  question: { readonly exchange: Exchange; readonly config: ExtAuthzConfig; readonly body: Buffer | undefined },
  authorizer: HttpAuthorizer,
  done: (answer: AuthzAnswer) => void,
  caller: Caller,
): () => void {
  const { exchange, config, body } = question;
  return caller.call(requestOf(exchange, config, authorizer, body), (result) => done(answerOf(result, authorizer)));
}

function requestOf(
  exchange: Exchange,
  config: ExtAuthzConfig,
  authorizer: HttpAuthorizer,
  body: Buffer | undefined,
): CallRequest {
  const { head } = exchange;
  const headers = new HeaderList();
  const { raw } = head.headers;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? "";
    if (isFraming(name) || config.disallowedHeaders(name)) continue;
    if (name === "authorization" || config.allowedHeaders?.(name) === true) headers.add(name, raw[at + 1] ?? "");
  }
  for (const { name, value } of authorizer.headersToAdd) headers.set(name, value);
  return {
    cluster: authorizer.cluster,
    method: head.method,
    path: authorizer.pathOverride || authorizer.pathPrefix + head.path,
    authority: head.authority,
    headers,
    body: body ?? Buffer.alloc(0),
    timeoutMs: authorizer.timeoutMs,
    responseBytesMax: AUTHZ_ANSWER_BYTES_MAX,
  };
}

function answerOf(result: CallResult, authorizer: HttpAuthorizer): AuthzAnswer {
  if (result.kind === "failed") return { kind: "error", reason: result.reason };
  const { status, headers } = result;
  if (status >= 500) return { kind: "error", reason: `cluster ${authorizer.cluster}: it answered ${status}` };
  const taken = take(headers.raw, authorizer);
  if (status !== 200) {
    return {
      kind: "denied",
      status,
      headers: taken.denied,
      body: result.body.toString("utf8"),
      metadata: taken.metadata,
    };
  }
  const toRemove = (headers.joined(TO_REMOVE) ?? "").split(",").map((name) => name.trim().toLowerCase());
  return {
    kind: "granted",
    headers: taken.upstream,
    headersToRemove: toRemove.filter(isName),
    responseHeaders: taken.client,
    queryToSet: [],
    queryToRemove: [],
    metadata: taken.metadata,
  };
}

interface Taken {
  readonly upstream: HeaderEdit[];
  readonly client: HeaderEdit[];
  readonly denied: HeaderEdit[];
  metadata: Record<string, unknown> | undefined;
}

/** What of the answer's headers goes where. */
function take(raw: readonly string[], authorizer: HttpAuthorizer): Taken {
  const taken: Taken = { upstream: [], client: [], denied: [], metadata: undefined };
  const { toDenied } = authorizer;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? "";
    const value = raw[at + 1] ?? "";
    if (authorizer.toMetadata(name)) taken.metadata = { ...taken.metadata, [name]: value };
    if (isFraming(name)) continue;
    if (authorizer.toUpstream(name)) taken.upstream.push({ name, value, how: "set" });
    if (authorizer.toUpstreamAppended(name)) taken.upstream.push({ name, value, how: "add" });
    if (authorizer.toClient(name)) taken.client.push({ name, value, how: "add" });
    if (toDenied === undefined || toDenied(name) || ALWAYS_DENIED.has(name))
      taken.denied.push({ name, value, how: "add" });
  }
  return taken;
}

const TO_REMOVE = "x-envoy-auth-headers-to-remove";
const ALWAYS_DENIED = new Set(["www-authenticate", "location"]);

function isName(name: string): boolean {
  return name !== "" && !isFraming(name);
}
