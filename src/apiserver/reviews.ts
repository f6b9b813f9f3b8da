// Questions that are asked by creating something: who is this token, may I, and a token please.

import type { TokenRequest } from "../api/client.ts";
import { isRecord } from "../base/json.ts";
import { type ApiRequest, type Reply, readBody, replyFailed, replyJson } from "./http.ts";
import { timestamp } from "./lifecycle.ts";
import type { PathParts } from "./route.ts";
import { badRequest } from "./status.ts";
import { API_AUDIENCE, type Tokens } from "./tokens.ts";

const TOKEN_SECONDS_DEFAULT = 3600;

/** Undefined when the path is none of these. */
export async function handleReview(tokens: Tokens, request: ApiRequest, parts: PathParts): Promise<Reply | undefined> {
  if (request.method !== "POST" || parts.version !== "v1") return undefined;
  const name = `${parts.plural}.${parts.group}`;
  const isToken = parts.plural === "serviceaccounts" && parts.group === "" && parts.subresource === "token";
  if (!isToken && name !== TOKEN_REVIEWS && name !== SELF_ACCESS_REVIEWS) return undefined;
  const body = await readBody(request);
  if (!body.ok) return replyFailed(body.error);
  const spec = isRecord(body.value) && isRecord(body.value["spec"]) ? body.value["spec"] : {};
  if (isToken) return requestToken(tokens, parts, spec);
  return name === TOKEN_REVIEWS ? reviewToken(tokens, spec) : selfAccess(request, spec);
}

const TOKEN_REVIEWS = "tokenreviews.authentication.k8s.io";
export const SELF_ACCESS_REVIEWS = "selfsubjectaccessreviews.authorization.k8s.io";

type Spec = Readonly<Record<string, unknown>>;

async function requestToken(tokens: Tokens, parts: PathParts, spec: Spec): Promise<Reply> {
  const { namespace, name } = parts;
  if (namespace === undefined || name === undefined)
    return replyFailed(badRequest("a token is requested of a named service account"));
  const bound = spec["boundObjectRef"];
  const pod =
    isRecord(bound) && bound["kind"] === "Pod" ? { name: String(bound["name"]), uid: String(bound["uid"]) } : undefined;
  const expirationSeconds = Number(spec["expirationSeconds"] ?? TOKEN_SECONDS_DEFAULT);
  const request: TokenRequest = {
    namespace,
    serviceAccount: name,
    audiences: texts(spec["audiences"]),
    expirationSeconds,
    ...(pod === undefined ? {} : { pod }),
  };
  const issued = await tokens.issue(request);
  if (!issued.ok) return replyFailed(issued.error);
  return replyJson(201, {
    kind: "TokenRequest",
    apiVersion: "authentication.k8s.io/v1",
    metadata: { name, namespace, creationTimestamp: null },
    spec: { ...spec, expirationSeconds },
    status: { token: issued.value.token, expirationTimestamp: timestamp(issued.value.expiresAtMs) },
  });
}

async function reviewToken(tokens: Tokens, spec: Spec): Promise<Reply> {
  const asked = texts(spec["audiences"]);
  const audiences = asked.length === 0 ? [API_AUDIENCE] : asked;
  let error = "the token has none of the audiences";
  for (const audience of audiences) {
    const reviewed = await tokens.review(String(spec["token"] ?? ""), audience);
    if (!reviewed.ok) {
      error = reviewed.error.message;
      continue;
    }
    const { namespace, serviceAccount, pod } = reviewed.value;
    return tokenReview(spec, {
      authenticated: true,
      audiences: [audience],
      user: {
        username: `system:serviceaccount:${namespace}:${serviceAccount}`,
        groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
        ...(pod === undefined
          ? {}
          : {
              extra: {
                "authentication.kubernetes.io/pod-name": [pod.name],
                "authentication.kubernetes.io/pod-uid": [pod.uid],
              },
            }),
      },
    });
  }
  return tokenReview(spec, { authenticated: false, error });
}

function tokenReview(spec: Spec, status: object): Reply {
  return replyJson(201, { kind: "TokenReview", apiVersion: "authentication.k8s.io/v1", metadata: {}, spec, status });
}

function selfAccess(request: ApiRequest, spec: Spec): Reply {
  const { isAdmin, name } = request.user;
  return replyJson(201, {
    kind: "SelfSubjectAccessReview",
    apiVersion: "authorization.k8s.io/v1",
    metadata: {},
    spec,
    status: isAdmin
      ? { allowed: true }
      : { allowed: false, reason: `${name} has no rights in the local cluster's API` },
  });
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
