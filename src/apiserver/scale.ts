// The scale subresource: how many replicas, whatever makes them.

import type { LabelSelector } from "../api/kubernetes/fields.ts";
import { selectorCell } from "../api/kubernetes/workload.ts";
import type { KubeObject } from "../api/object.ts";
import { isRecord } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type ApiRequest, type Reply, readBody, replyFailed, replyJson } from "./http.ts";
import { refOf } from "./read.ts";
import type { Resources } from "./resources.ts";
import type { ResourceRoute } from "./route.ts";
import { type ApiFailure, badRequest } from "./status.ts";
import { readPatch, writeContext } from "./write.ts";

export async function handleScale(resources: Resources, request: ApiRequest, route: ResourceRoute): Promise<Reply> {
  const ref = refOf(route, route.name ?? "");
  if (request.method === "GET") {
    const found = await resources.get(route.kind, ref);
    return found.ok ? replyJson(200, scaleOf(found.value)) : replyFailed(found.error);
  }
  const context = writeContext(request);
  if (!context.ok) return replyFailed(context.error);
  const change = await scaleChange(request, route);
  if (!change.ok) return replyFailed(change.error);
  const apply = (current: KubeObject): Result<unknown, ApiFailure> => {
    const wanted = change.value(scaleOf(current));
    if (!wanted.ok) return wanted;
    return withReplicas(current, wanted.value);
  };
  const done = await resources.patch(route.kind, ref, apply, { target: "object", context: context.value });
  return done.ok ? replyJson(200, scaleOf(done.value.object)) : replyFailed(done.error);
}

async function scaleChange(
  request: ApiRequest,
  route: ResourceRoute,
): Promise<Result<(scale: unknown) => Result<unknown, ApiFailure>, ApiFailure>> {
  if (request.method === "PATCH") return readPatch(request, route.kind);
  const body = await readBody(request);
  return body.ok ? ok(() => ok(body.value)) : body;
}

function withReplicas(current: KubeObject, scale: unknown): Result<unknown, ApiFailure> {
  const spec = isRecord(scale) ? scale["spec"] : undefined;
  const replicas = isRecord(spec) ? (spec["replicas"] ?? 0) : undefined;
  if (typeof replicas !== "number") return err(badRequest("a Scale has spec.replicas, a number"));
  const metadata = isRecord(scale) && isRecord(scale["metadata"]) ? scale["metadata"] : {};
  const before: unknown = Reflect.get(current, "spec");
  const stated = metadata["resourceVersion"];
  return ok({
    ...current,
    metadata: {
      ...current.metadata,
      ...(typeof stated === "string" && stated !== "" ? { resourceVersion: stated } : {}),
    },
    spec: { ...(isRecord(before) ? before : {}), replicas },
  });
}

function scaleOf(object: KubeObject): object {
  const spec: unknown = Reflect.get(object, "spec");
  const status: unknown = Reflect.get(object, "status");
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = isRecord(spec) && isSelector(spec["selector"]) ? spec["selector"] : undefined;
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: isRecord(spec) ? (spec["replicas"] ?? 1) : 1 },
    status: {
      replicas: isRecord(status) ? (status["replicas"] ?? 0) : 0,
      ...(selector === undefined ? {} : { selector: selectorCell(selector) }),
    },
  };
}

/** The stored object passed its schema, where a selector is the only object of this name. */
function isSelector(value: unknown): value is LabelSelector {
  return isRecord(value);
}
