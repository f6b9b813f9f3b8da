// The scale subresource: how many replicas, whatever makes them.

import type { Kind } from "../api/kind.ts";
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
    return found.ok ? replyJson(200, scaleOf(route.kind, found.value)) : replyFailed(found.error);
  }
  const context = writeContext(request);
  if (!context.ok) return replyFailed(context.error);
  const change = await scaleChange(request, route);
  if (!change.ok) return replyFailed(change.error);
  const apply = (current: KubeObject): Result<unknown, ApiFailure> => {
    const wanted = change.value(scaleOf(route.kind, current));
    if (!wanted.ok) return wanted;
    return withReplicas(route.kind, current, wanted.value);
  };
  const done = await resources.patch(route.kind, ref, apply, { target: "object", context: context.value });
  return done.ok ? replyJson(200, scaleOf(route.kind, done.value.object)) : replyFailed(done.error);
}

async function scaleChange(
  request: ApiRequest,
  route: ResourceRoute,
): Promise<Result<(scale: unknown) => Result<unknown, ApiFailure>, ApiFailure>> {
  if (request.method === "PATCH") return readPatch(request, route.kind);
  const body = await readBody(request);
  return body.ok ? ok(() => ok(body.value)) : body;
}

function withReplicas(kind: Kind, current: KubeObject, scale: unknown): Result<unknown, ApiFailure> {
  const spec = isRecord(scale) ? scale["spec"] : undefined;
  const replicas = isRecord(spec) ? (spec["replicas"] ?? 0) : undefined;
  if (typeof replicas !== "number") return err(badRequest("a Scale has spec.replicas, a number"));
  const metadata = isRecord(scale) && isRecord(scale["metadata"]) ? scale["metadata"] : {};
  const stated = metadata["resourceVersion"];
  const changed = withValue(current, stepsOf((kind.scale ?? DEPLOYMENT).specReplicasPath), replicas);
  return ok({
    ...changed,
    metadata: {
      ...current.metadata,
      ...(typeof stated === "string" && stated !== "" ? { resourceVersion: stated } : {}),
    },
  });
}

/** Where Kubernetes' own kinds keep it. */
const DEPLOYMENT = { specReplicasPath: ".spec.replicas", statusReplicasPath: ".status.replicas" };

function stepsOf(path: string): readonly string[] {
  return path.split(".").filter((step) => step !== "");
}

function valueAt(object: unknown, path: string): unknown {
  return stepsOf(path).reduce((value: unknown, step) => (isRecord(value) ? value[step] : undefined), object);
}

function withValue(value: unknown, [step, ...rest]: readonly string[], wanted: unknown): Record<string, unknown> {
  const before: Record<string, unknown> = isRecord(value) ? { ...value } : {};
  if (step !== undefined) before[step] = rest.length === 0 ? wanted : withValue(before[step], rest, wanted);
  return before;
}

function scaleOf(kind: Kind, object: KubeObject): object {
  const paths: NonNullable<Kind["scale"]> = kind.scale ?? DEPLOYMENT;
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = kind.scale === undefined ? valueAt(object, ".spec.selector") : undefined;
  const text = paths.labelSelectorPath === undefined ? undefined : valueAt(object, paths.labelSelectorPath);
  const shown = isSelector(selector) ? selectorCell(selector) : typeof text === "string" ? text : undefined;
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: valueAt(object, paths.specReplicasPath) ?? (kind.scale === undefined ? 1 : 0) },
    status: {
      replicas: valueAt(object, paths.statusReplicasPath) ?? 0,
      ...(shown === undefined ? {} : { selector: shown }),
    },
  };
}

/** The stored object passed its schema, where a selector is the only object of this name. */
function isSelector(value: unknown): value is LabelSelector {
  return isRecord(value);
}
