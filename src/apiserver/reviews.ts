// Questions that are asked by creating something: who is this token, who am I, may I, and a token please.

import type { TokenRequest } from "../api/client.ts";
import { isRecord } from "../base/json.ts";
import { type ApiRequest, type Reply, readBody, replyFailed, replyJson, type User } from "./http.ts";
import { timestamp } from "./lifecycle.ts";
import type { Authorizer, Verdict } from "./rbac.ts";
import type { PathParts } from "./route.ts";
import { badRequest } from "./status.ts";
import { API_AUDIENCE, type Tokens } from "./tokens.ts";

const TOKEN_SECONDS_DEFAULT = 3600;

export interface ReviewKind {
  readonly group: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

const AUTHENTICATION = "authentication.k8s.io";
const AUTHORIZATION = "authorization.k8s.io";

/** Kinds that are verbs rather than storage: only created, never read back. */
export const REVIEWS: readonly ReviewKind[] = [
  { group: AUTHENTICATION, kind: "TokenReview", plural: "tokenreviews", namespaced: false },
  { group: AUTHENTICATION, kind: "SelfSubjectReview", plural: "selfsubjectreviews", namespaced: false },
  { group: AUTHORIZATION, kind: "SelfSubjectAccessReview", plural: "selfsubjectaccessreviews", namespaced: false },
  { group: AUTHORIZATION, kind: "SelfSubjectRulesReview", plural: "selfsubjectrulesreviews", namespaced: false },
  { group: AUTHORIZATION, kind: "SubjectAccessReview", plural: "subjectaccessreviews", namespaced: false },
  { group: AUTHORIZATION, kind: "LocalSubjectAccessReview", plural: "localsubjectaccessreviews", namespaced: true },
];

/** What everybody who is known may ask: about themselves. */
export function isSelfReview(parts: PathParts): boolean {
  return REVIEWS.some(
    ({ group, plural }) => group === parts.group && plural === parts.plural && plural.startsWith("self"),
  );
}

type Spec = Readonly<Record<string, unknown>>;

interface Context {
  readonly tokens: Tokens;
  readonly authorizer: Authorizer;
}

/** Undefined when the path is none of these. */
export async function handleReview(
  context: Context,
  request: ApiRequest,
  parts: PathParts,
): Promise<Reply | undefined> {
  if (request.method !== "POST" || parts.version !== "v1") return undefined;
  const isToken = parts.plural === "serviceaccounts" && parts.group === "" && parts.subresource === "token";
  const review = REVIEWS.find(({ group, plural }) => group === parts.group && plural === parts.plural);
  if (!isToken && review === undefined) return undefined;
  const body = await readBody(request);
  if (!body.ok) return replyFailed(body.error);
  const spec = isRecord(body.value) && isRecord(body.value["spec"]) ? body.value["spec"] : {};
  if (review === undefined) return requestToken(context.tokens, parts, spec);
  const status = await answer(context, request.user, { review, spec });
  const { kind, group } = review;
  return replyJson(201, {
    kind,
    apiVersion: `${group}/v1`,
    metadata: {},
    ...(kind === "SelfSubjectReview" ? {} : { spec }),
    status,
  });
}

async function answer(
  { tokens, authorizer }: Context,
  user: User,
  { review, spec }: { readonly review: ReviewKind; readonly spec: Spec },
): Promise<object> {
  switch (review.kind) {
    case "TokenReview":
      return reviewToken(tokens, spec);
    case "SelfSubjectReview":
      return { userInfo: { username: user.name, groups: user.groups } };
    case "SelfSubjectRulesReview":
      return rulesStatus(authorizer, user, String(spec["namespace"] ?? "default"));
    case "SelfSubjectAccessReview":
      return decide(authorizer, user, spec);
    default:
      return decide(authorizer, subjectOf(spec), spec);
  }
}

function subjectOf(spec: Spec): User {
  return {
    name: String(spec["user"] ?? ""),
    groups: texts(spec["groups"]),
    isAdmin: texts(spec["groups"]).includes("system:masters"),
  };
}

function decide(authorizer: Authorizer, user: User, spec: Spec): Verdict {
  const path = spec["nonResourceAttributes"];
  if (isRecord(path)) return authorizer.decidePath(user, String(path["verb"] ?? ""), String(path["path"] ?? ""));
  const asked = isRecord(spec["resourceAttributes"]) ? spec["resourceAttributes"] : {};
  const text = (field: string): string => String(asked[field] ?? "");
  const optional = (field: string): string | undefined => (text(field) === "" ? undefined : text(field));
  const subresource = text("subresource");
  return authorizer.decide(user, {
    verb: text("verb"),
    group: text("group"),
    resource: subresource === "" ? text("resource") : `${text("resource")}/${subresource}`,
    namespace: optional("namespace"),
    name: optional("name"),
  });
}

function rulesStatus(authorizer: Authorizer, user: User, namespace: string): object {
  const rules = authorizer.rulesFor(user, namespace);
  const onPaths = rules.filter(({ nonResourceURLs }) => (nonResourceURLs ?? []).length > 0);
  return {
    incomplete: false,
    resourceRules: [
      ...rules.filter((rule) => !onPaths.includes(rule)),
      {
        verbs: ["create"],
        apiGroups: [AUTHORIZATION],
        resources: ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
      },
      { verbs: ["create"], apiGroups: [AUTHENTICATION], resources: ["selfsubjectreviews"] },
    ],
    nonResourceRules: [
      ...onPaths,
      {
        verbs: ["get"],
        nonResourceURLs: [
          "/api",
          "/api/*",
          "/apis",
          "/apis/*",
          "/healthz",
          "/livez",
          "/openapi",
          "/openapi/*",
          "/readyz",
          "/version",
        ],
      },
    ],
  };
}

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

async function reviewToken(tokens: Tokens, spec: Spec): Promise<object> {
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
    const extra = pod === undefined ? {} : { extra: podExtra(pod) };
    return {
      authenticated: true,
      audiences: [audience],
      user: { ...accountUser(namespace, serviceAccount), ...extra },
    };
  }
  return { authenticated: false, error };
}

function podExtra(pod: { readonly name: string; readonly uid: string }): object {
  return {
    "authentication.kubernetes.io/pod-name": [pod.name],
    "authentication.kubernetes.io/pod-uid": [pod.uid],
  };
}

export function accountUser(
  namespace: string,
  account: string,
): { readonly username: string; readonly groups: string[] } {
  return {
    username: `system:serviceaccount:${namespace}:${account}`,
    groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
  };
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
