// What the specification says of a request: by the evaluator of parsed policies, which knows nothing of RBAC filters.

import { decide } from "../../src/analyze/authz.ts";
import type { AuthzCall } from "../../src/analyze/authz-clause.ts";
import type { AuthorizationPolicy } from "../../src/api/istio/authorization-policy.ts";
import { MESH, type RandomRequest } from "./random.ts";

export function isAllowed(policies: readonly AuthorizationPolicy[], request: RandomRequest): boolean {
  return decide(policies, callOf(request), MESH).outcome === "allowed";
}

function callOf(request: RandomRequest): AuthzCall {
  const { claims } = request;
  return {
    protocol: "http",
    principal: request.caller,
    sourceIp: request.source,
    remoteIp: remoteIpOf(request),
    destinationIp: request.destination,
    port: request.port,
    serverName: request.serverName ?? "",
    method: request.method,
    path: request.path,
    host: request.host,
    headers: request.kind.length === 0 ? {} : { "x-kind": request.kind },
    claims: claims === undefined ? undefined : JSON.parse(JSON.stringify(claims)),
  };
}

/** The last one that was told. */
export function remoteIpOf({ forwardedFor, source }: RandomRequest): string {
  return forwardedFor?.split(",").at(-1)?.trim() ?? source;
}
