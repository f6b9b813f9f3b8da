// create, replace, patch and delete over HTTPS.

import type { Kind } from "../api/kind.ts";
import type { KubeObject } from "../api/object.ts";
import { objectSchema } from "../api/validate.ts";
import { isRecord } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { FieldValidation } from "./decode.ts";
import { type ApiRequest, type Reply, readBody, replyFailed, replyJson } from "./http.ts";
import { jsonPatch, mergePatch } from "./json-patch.ts";
import { MANAGER_CHARS_MAX } from "./limits.ts";
import { present, storedKind, toStored } from "./present.ts";
import { refOf, selectionOf } from "./read.ts";
import type { DeleteOptions, Resources, WriteContext, Written } from "./resources.ts";
import type { ResourceRoute } from "./route.ts";
import { type ApiFailure, badRequest, failure } from "./status.ts";
import { strategicPatch } from "./strategic-patch.ts";

export type PatchFunction = (current: unknown) => Result<unknown, ApiFailure>;

export class Writer {
  readonly #resources: Resources;

  constructor(resources: Resources) {
    this.#resources = resources;
  }

  async create(request: ApiRequest, route: ResourceRoute): Promise<Reply> {
    const context = writeContext(request);
    if (!context.ok) return replyFailed(context.error);
    const body = await readBody(request);
    if (!body.ok) return replyFailed(body.error);
    if (route.kind.namespaced && route.namespace === undefined) {
      return replyFailed(badRequest("an empty namespace may not be set during creation"));
    }
    const kind = storedKind(route.kind);
    const namespace = route.kind.namespaced ? route.namespace : undefined;
    const made = await this.#resources.create(kind, namespace, toStored(route.kind, body.value), context.value);
    return written(route, made, 201);
  }

  async replace(request: ApiRequest, route: ResourceRoute, target: "object" | "status"): Promise<Reply> {
    const context = writeContext(request);
    if (!context.ok) return replyFailed(context.error);
    const body = await readBody(request);
    if (!body.ok) return replyFailed(body.error);
    const ref = refOf(route, route.name ?? "");
    const stored = toStored(route.kind, body.value);
    return written(
      route,
      await this.#resources.update(storedKind(route.kind), ref, stored, { target, context: context.value }),
      200,
    );
  }

  async patch(request: ApiRequest, route: ResourceRoute, target: "object" | "status"): Promise<Reply> {
    const context = writeContext(request);
    if (!context.ok) return replyFailed(context.error);
    if (request.contentType.startsWith(APPLY_PATCH))
      return this.#apply(request, route, { target, context: context.value });
    const patch = await readPatch(request, route.kind);
    if (!patch.ok) return replyFailed(patch.error);
    const change = (current: KubeObject): Result<unknown, ApiFailure> => {
      const changed = patch.value(present(route, current));
      return changed.ok ? ok(toStored(route.kind, changed.value)) : changed;
    };
    const ref = refOf(route, route.name ?? "");
    return written(
      route,
      await this.#resources.patch(storedKind(route.kind), ref, change, { target, context: context.value }),
      200,
    );
  }

  async #apply(
    request: ApiRequest,
    route: ResourceRoute,
    { target, context }: { readonly target: "object" | "status"; readonly context: WriteContext },
  ): Promise<Reply> {
    const manager = request.query.get("fieldManager") ?? "";
    if (manager === "") return replyFailed(badRequest("fieldManager is required for apply patch"));
    const body = await readBody(request);
    if (!body.ok) return replyFailed(body.error);
    const ref = refOf(route, route.name ?? "");
    const refusal = applyRefusal(body.value, { name: ref.name, target });
    if (refusal !== undefined || !isRecord(body.value))
      return replyFailed(badRequest(refusal ?? "an apply patch is an object"));
    const force = request.query.get("force") === "true";
    const done = await this.#resources.apply(
      storedKind(route.kind),
      ref,
      { manager, body: withoutNulls(body.value), force },
      { ...context, manager },
    );
    return written(route, done, done.ok && done.value.created ? 201 : 200);
  }

  async remove(request: ApiRequest, route: ResourceRoute, name: string): Promise<Reply> {
    const options = await deleteOptions(request);
    if (!options.ok) return replyFailed(options.error);
    const kind = storedKind(route.kind);
    const done = await this.#resources.remove(kind, refOf(route, name), options.value);
    if (!done.ok) return replyFailed(done.error);
    if (!done.value.gone || kind.kind === "Pod") return replyJson(200, present(route, done.value.object));
    return replyJson(200, {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Success",
      details: {
        name,
        ...(route.kind.group === "" ? {} : { group: route.kind.group }),
        kind: route.kind.plural,
        uid: done.value.object.metadata.uid,
      },
    });
  }

  async removeCollection(request: ApiRequest, route: ResourceRoute): Promise<Reply> {
    const options = await deleteOptions(request);
    if (!options.ok) return replyFailed(options.error);
    const kind = storedKind(route.kind);
    const listed = await this.#resources.list(kind, selectionOf(request, route));
    if (!listed.ok) return replyFailed(listed.error);
    const items: KubeObject[] = [];
    for (const object of listed.value.objects) {
      const { name, namespace } = object.metadata;
      const ref = namespace === undefined ? { name } : { name, namespace };
      const done = await this.#resources.remove(kind, ref, options.value);
      if (done.ok) items.push(present(route, done.value.object));
      else if (done.error.code !== 404) return replyFailed(done.error);
    }
    return replyJson(200, { kind: `${route.kind.kind}List`, apiVersion: "v1", metadata: {}, items });
  }
}

function written(route: ResourceRoute, result: Result<Written, ApiFailure>, code: number): Reply {
  if (!result.ok) return replyFailed(result.error);
  return { kind: "json", code, body: present(route, result.value.object), warnings: result.value.warnings };
}

function applyRefusal(
  body: unknown,
  { name, target }: { readonly name: string; readonly target: "object" | "status" },
): string | undefined {
  if (target === "status") return "a status is written with a merge patch here, not with apply";
  if (!isRecord(body)) return "an apply patch is an object";
  if (typeof body["apiVersion"] !== "string" || typeof body["kind"] !== "string") {
    return "an apply patch names its apiVersion and kind";
  }
  const metadata = isRecord(body["metadata"]) ? body["metadata"] : {};
  if (Array.isArray(metadata["managedFields"])) return "metadata.managedFields must be nil";
  if (metadata["name"] !== undefined && metadata["name"] !== name) {
    return `the name of the object (${String(metadata["name"])}) does not match the name on the URL (${name})`;
  }
  return undefined;
}

/** Declaring nothing is not declaring a field: generated manifests have `creationTimestamp: null` and its like. */
function withoutNulls(body: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const entries = Object.entries(body).filter(([, value]) => value !== null);
  return Object.fromEntries(entries.map(([key, value]) => [key, isRecord(value) ? withoutNulls(value) : value]));
}

const APPLY_PATCH = "application/apply-patch";

const VALIDATIONS: readonly FieldValidation[] = ["Strict", "Warn", "Ignore"];

export function writeContext(request: ApiRequest): Result<WriteContext, ApiFailure> {
  const asked = request.query.get("fieldValidation") ?? "Warn";
  const fieldValidation = VALIDATIONS.find((name) => name === asked);
  if (fieldValidation === undefined) {
    return err(
      badRequest(
        `fieldValidation: Unsupported value: ${JSON.stringify(asked)}: supported values: "Ignore", "Strict", "Warn"`,
      ),
    );
  }
  const dryRuns = request.query.getAll("dryRun");
  if (dryRuns.some((value) => value !== "All"))
    return err(badRequest('dryRun: Unsupported value: supported values: "All"'));
  const manager = request.query.get("fieldManager") ?? request.userAgent.split("/")[0] ?? "";
  if (manager.length > MANAGER_CHARS_MAX) {
    return err(badRequest(`fieldManager: Invalid value: may not be more than ${MANAGER_CHARS_MAX} characters`));
  }
  const writer = manager === "" ? "unknown" : manager;
  return ok({ user: request.user, manager: writer, dryRun: dryRuns.length > 0, fieldValidation });
}

/** The patch in the request's body as a function of what it is applied to. */
export async function readPatch(request: ApiRequest, kind: Kind): Promise<Result<PatchFunction, ApiFailure>> {
  const type = request.contentType.split(";")[0]?.trim() ?? "";
  const refusal = patchTypeRefusal(type, kind);
  if (refusal !== undefined) return err(failure(415, "UnsupportedMediaType", refusal));
  const body = await readBody(request);
  if (!body.ok) return body;
  const patch = body.value;
  if (type === "application/json-patch+json") {
    return ok((current) => {
      const changed = jsonPatch(current, patch);
      return changed.ok
        ? changed
        : err(
            failure(422, "Invalid", `the server rejected our request due to an error in our request: ${changed.error}`),
          );
    });
  }
  if (!isRecord(patch)) return err(badRequest("a merge patch is an object"));
  if (type === "application/merge-patch+json") return ok((current) => ok(mergePatch(current, patch)));
  const schema = objectSchema(kind);
  return ok((current) => ok(strategicPatch(current, patch, schema)));
}

function patchTypeRefusal(type: string, kind: Kind): string | undefined {
  const accepted = ["application/json-patch+json", "application/merge-patch+json"];
  if (kind.origin === "builtin") accepted.push("application/strategic-merge-patch+json");
  if (accepted.includes(type)) return undefined;
  return `the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`;
}

async function deleteOptions(request: ApiRequest): Promise<Result<DeleteOptions, ApiFailure>> {
  const body = await readBody(request);
  if (!body.ok) return body;
  const given = isRecord(body.value) ? body.value : {};
  const preconditions = isRecord(given["preconditions"]) ? given["preconditions"] : {};
  const grace = request.query.get("gracePeriodSeconds") ?? given["gracePeriodSeconds"];
  const policy = request.query.get("propagationPolicy") ?? given["propagationPolicy"];
  const seconds = grace === undefined || grace === null ? undefined : Number(grace);
  if (seconds !== undefined && !Number.isInteger(seconds)) {
    return err(badRequest(`gracePeriodSeconds: Invalid value: ${JSON.stringify(grace)}: must be a whole number`));
  }
  const dryRun =
    request.query.getAll("dryRun").includes("All") ||
    (Array.isArray(given["dryRun"]) && given["dryRun"].includes("All"));
  const orphans = given["orphanDependents"] === true;
  return ok({
    user: request.user,
    gracePeriodSeconds: seconds,
    uid: textOf(preconditions["uid"]),
    resourceVersion: textOf(preconditions["resourceVersion"]),
    dryRun,
    propagation: policy === "Foreground" ? "Foreground" : policy === "Orphan" || orphans ? "Orphan" : "Background",
  });
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
