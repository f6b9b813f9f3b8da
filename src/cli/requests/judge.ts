// Why a request was refused: the policies of the pod that it came to, asked again with what its proxy remembers of the call.

import { type AuthzDecision, decide } from "../../analyze/authz.ts";
import type { AuthzCall } from "../../analyze/authz-clause.ts";
import type { World } from "../../analyze/world.ts";
import { selecting } from "../../model/by-namespace.ts";
import type { SeenRequest } from "./collect.ts";
import { portOf } from "./hops.ts";

export function isRefused({ request }: SeenRequest): boolean {
  return request.details.startsWith("rbac_access_denied");
}

/** Undefined: the pod is gone. */
export function judge(world: World, { pod, request }: SeenRequest): AuthzDecision | undefined {
  const { authorization, mesh } = world.snapshot;
  const workload = world.pods.find(
    ({ resource }) => resource.namespace === pod.namespace && resource.name === pod.name,
  );
  if (workload === undefined) return undefined;
  return decide(selecting(authorization, workload, mesh), callOf(request), mesh);
}

/** Headers and tokens are not remembered: rules about them find nothing. */
export function callOf(request: SeenRequest["request"]): AuthzCall {
  const { source, authority, path } = request;
  return {
    protocol: request.protocol === "TCP" ? "tcp" : "http",
    principal: source.identity === "" ? undefined : source.identity.replace(/^spiffe:\/\//, ""),
    sourceIp: source.address.slice(0, source.address.lastIndexOf(":")),
    remoteIp: source.address.slice(0, source.address.lastIndexOf(":")),
    destinationIp: undefined,
    port: portOf(request.cluster, request.destination.address),
    serverName: undefined,
    method: request.method,
    path: path.split("?")[0] ?? path,
    host: authority,
    headers: {},
    claims: undefined,
  };
}
