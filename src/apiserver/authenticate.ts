// Who asks: the administrator by the cluster's own token, a workload by its service-account token, nobody else.

import { createHash, timingSafeEqual } from "node:crypto";
import type { User } from "./http.ts";
import { SELF_ACCESS_REVIEWS } from "./reviews.ts";
import type { PathParts } from "./route.ts";
import { type ApiFailure, failure } from "./status.ts";
import { API_AUDIENCE, type Tokens } from "./tokens.ts";

export const UNAUTHORIZED: ApiFailure = failure(401, "Unauthorized", "Unauthorized");

export async function authenticate(
  header: string | undefined,
  options: { readonly adminToken: string; readonly tokens: Tokens },
): Promise<User | undefined> {
  const token = /^Bearer +(\S+) *$/i.exec(header ?? "")?.[1];
  if (token === undefined) return undefined;
  if (isSame(token, options.adminToken)) {
    return { name: "kubernetes-admin", groups: ["system:masters", "system:authenticated"], isAdmin: true };
  }
  // Anything that is no JWT is not worth loading the library that checks one.
  if (token.split(".").length !== 3) return undefined;
  const reviewed = await options.tokens.review(token, API_AUDIENCE);
  if (!reviewed.ok) return undefined;
  const { namespace, serviceAccount } = reviewed.value;
  return {
    name: `system:serviceaccount:${namespace}:${serviceAccount}`,
    groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
    isAdmin: false,
  };
}

/** Workloads may ask what they may do, and nothing more. */
export function authorize(user: User, method: string, parts: PathParts): ApiFailure | undefined {
  if (user.isAdmin || `${parts.plural}.${parts.group}` === SELF_ACCESS_REVIEWS) return undefined;
  const verb = VERBS[method] ?? method.toLowerCase();
  const resource = parts.subresource === undefined ? parts.plural : `${parts.plural}/${parts.subresource}`;
  const full = parts.group === "" ? parts.plural : `${parts.plural}.${parts.group}`;
  const subject = parts.name === undefined ? full : `${full} ${JSON.stringify(parts.name)}`;
  const scope =
    parts.namespace === undefined ? "at the cluster scope" : `in the namespace ${JSON.stringify(parts.namespace)}`;
  const asked = verb === "get" && parts.name === undefined ? "list" : verb;
  return failure(
    403,
    "Forbidden",
    `${subject} is forbidden: User ${JSON.stringify(user.name)} cannot ${asked} resource ${JSON.stringify(resource)} in API group ${JSON.stringify(parts.group)} ${scope}`,
  );
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
