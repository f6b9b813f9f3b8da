// Who asks: the administrator by the cluster's own token, a workload by its service-account token, nobody else. The
// administrator may also ask in another's name.

import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { User } from "./http.ts";
import type { Attempt, Authorizer } from "./rbac.ts";
import { accountUser, isSelfReview } from "./reviews.ts";
import type { PathParts } from "./route.ts";
import { type ApiFailure, failure } from "./status.ts";
import { API_AUDIENCE, type Tokens } from "./tokens.ts";

export const UNAUTHORIZED: ApiFailure = failure(401, "Unauthorized", "Unauthorized");

const ADMINISTRATORS = "system:masters";

export async function authenticate(
  headers: IncomingHttpHeaders,
  options: { readonly adminToken: string; readonly tokens: Tokens },
): Promise<User | undefined> {
  const user = await userOf(headers.authorization, options);
  const asUser = headers["impersonate-user"];
  if (user?.isAdmin !== true || typeof asUser !== "string") return user;
  const asked = headers["impersonate-group"];
  const given = Array.isArray(asked) ? asked : asked === undefined ? [] : asked.split(",").map((name) => name.trim());
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(asUser);
  const own = account === null ? ["system:authenticated"] : accountUser(account[1] ?? "", account[2] ?? "").groups;
  const groups = [...new Set([...given, ...(given.length === 0 ? own : ["system:authenticated"])])];
  return { name: asUser, groups, isAdmin: groups.includes(ADMINISTRATORS) };
}

async function userOf(
  header: string | undefined,
  options: { readonly adminToken: string; readonly tokens: Tokens },
): Promise<User | undefined> {
  const token = /^Bearer +(\S+) *$/i.exec(header ?? "")?.[1];
  if (token === undefined) return undefined;
  if (isSame(token, options.adminToken)) {
    return { name: "kubernetes-admin", groups: [ADMINISTRATORS, "system:authenticated"], isAdmin: true };
  }
  // Anything that is no JWT is not worth loading the library that checks one.
  if (token.split(".").length !== 3) return undefined;
  const reviewed = await options.tokens.review(token, API_AUDIENCE);
  if (!reviewed.ok) return undefined;
  const { username, groups } = accountUser(reviewed.value.namespace, reviewed.value.serviceAccount);
  return { name: username, groups, isAdmin: false };
}

export interface Asked {
  readonly method: string;
  readonly query: URLSearchParams;
  readonly parts: PathParts;
}

/** Undefined when the user's roles allow it. */
export function authorize(authorizer: Authorizer, user: User, asked: Asked): ApiFailure | undefined {
  if (user.isAdmin || isSelfReview(asked.parts)) return undefined;
  const attempt = attemptOf(asked);
  return authorizer.decide(user, attempt).allowed ? undefined : refusal(user, attempt, asked.parts);
}

function attemptOf({ method, query, parts }: Asked): Attempt {
  const { group, namespace, name, plural, subresource } = parts;
  return {
    verb: verbOf(method, query, name),
    group,
    resource: subresource === undefined ? plural : `${plural}/${subresource}`,
    // The namespace itself is asked for by name; its roles may be inside it.
    namespace: plural === "namespaces" && group === "" ? name : namespace,
    name,
  };
}

function verbOf(method: string, query: URLSearchParams, name: string | undefined): string {
  const watch = query.get("watch");
  if (method === "GET" && name === undefined) return watch === "true" || watch === "1" ? "watch" : "list";
  if (method === "DELETE" && name === undefined) return "deletecollection";
  return VERBS[method] ?? method.toLowerCase();
}

function refusal(user: User, { verb, resource, group }: Attempt, parts: PathParts): ApiFailure {
  const full = group === "" ? parts.plural : `${parts.plural}.${group}`;
  const subject = parts.name === undefined ? full : `${full} ${JSON.stringify(parts.name)}`;
  const scope =
    parts.namespace === undefined ? "at the cluster scope" : `in the namespace ${JSON.stringify(parts.namespace)}`;
  return {
    ...failure(
      403,
      "Forbidden",
      `${subject} is forbidden: User ${JSON.stringify(user.name)} cannot ${verb} resource ${JSON.stringify(resource)} in API group ${JSON.stringify(group)} ${scope}`,
    ),
    details: {
      ...(parts.name === undefined ? {} : { name: parts.name }),
      ...(group === "" ? {} : { group }),
      kind: parts.plural,
    },
  };
}

const VERBS: Readonly<Record<string, string>> = {
  GET: "get",
  POST: "create",
  PUT: "update",
  PATCH: "patch",
  DELETE: "delete",
};

/** In constant time, whatever the lengths. */
function isSame(left: string, right: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(left), digest(right));
}
