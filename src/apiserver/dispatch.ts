// From an authenticated request to the handler that answers it.

import type { Registry } from "../api/registry.ts";
import type { Clock } from "../base/clock.ts";
import { authorize } from "./authenticate.ts";
import { discover } from "./discovery.ts";
import { SESSION_SUBRESOURCES } from "./exec.ts";
import { type ApiRequest, type Reply, replyFailed, replyJson } from "./http.ts";
import { handleMetrics } from "./metrics-api.ts";
import {
  OPENAPI_V2_CONTENT_TYPE,
  OPENAPI_V2_JSON,
  OPENAPI_V2_PROTOBUF,
  openApiDocument,
  openApiRoot,
} from "./openapi.ts";
import type { PodRuntime } from "./pod-runtime.ts";
import { handleLogs } from "./pod-streams.ts";
import { handleProxied, parseProxied } from "./proxy-request.ts";
import type { Authorizer } from "./rbac.ts";
import type { Reader } from "./read.ts";
import type { Resources } from "./resources.ts";
import { handleReview } from "./reviews.ts";
import { findRoute, parsePath, type ResourceRoute } from "./route.ts";
import { handleScale } from "./scale.ts";
import { type ApiFailure, badRequest, failure } from "./status.ts";
import type { Tokens } from "./tokens.ts";
import type { Writer } from "./write.ts";

export interface Handlers {
  readonly registry: Registry;
  readonly resources: Resources;
  readonly tokens: Tokens;
  readonly authorizer: Authorizer;
  readonly runtime: PodRuntime;
  readonly reader: Reader;
  readonly writer: Writer;
  readonly clock: Clock;
}

// Clients read the details of a 404 without looking whether there are any.
const NOT_THERE: ApiFailure = {
  ...failure(404, "NotFound", "the server could not find the requested resource"),
  details: {},
};
const NO_DEBUGGING: ApiFailure = failure(
  403,
  "Forbidden",
  "ephemeral containers are not available on the local cluster: kubectl exec runs any program of this machine in a container",
);
const HEALTH = new Set(["/healthz", "/livez", "/readyz"]);

const VERSION = {
  major: "1",
  minor: "32",
  gitVersion: "v1.32.0+weft",
  gitCommit: "",
  gitTreeState: "clean",
  buildDate: "2025-01-01T00:00:00Z",
  goVersion: "",
  compiler: "",
  platform: `${process.platform}/${process.arch === "x64" ? "amd64" : process.arch}`,
};

export async function dispatch(handlers: Handlers, request: ApiRequest): Promise<Reply> {
  const fixed = request.method === "GET" ? fixedPath(handlers.registry, request) : undefined;
  if (fixed !== undefined) return fixed;
  const proxied = parseProxied(request.pathname);
  if (proxied !== undefined) return handleProxied(handlers, request, proxied);
  const parts = parsePath(request.pathname);
  if (parts === undefined) return replyFailed(NOT_THERE);
  const { method, query } = request;
  const refusal = authorize(handlers.authorizer, request.user, { method, query, parts });
  if (refusal !== undefined) return replyFailed(refusal);
  const review = await handleReview(handlers, request, parts);
  if (review !== undefined) return review;
  const metrics = await handleMetrics(handlers, request, parts);
  if (metrics !== undefined) return metrics;
  const route = findRoute(handlers.registry, parts);
  if (route === undefined) return replyFailed(NOT_THERE);
  return withDeprecation(route, await toResource(handlers, request, route));
}

function toResource(handlers: Handlers, request: ApiRequest, route: ResourceRoute): Promise<Reply> {
  if (route.subresource !== undefined) return subresource(handlers, request, route);
  return route.name === undefined
    ? collection(handlers, request, route)
    : single(handlers, request, { ...route, name: route.name });
}

function withDeprecation({ kind }: ResourceRoute, reply: Reply): Reply {
  if (kind.deprecation === undefined || reply.kind !== "json") return reply;
  return { ...reply, warnings: [...(reply.warnings ?? []), kind.deprecation] };
}

function fixedPath(registry: Registry, request: ApiRequest): Reply | undefined {
  const path = request.pathname;
  if (path === "/version") return replyJson(200, VERSION);
  if (HEALTH.has(path)) return { kind: "bytes", body: "ok", contentType: "text/plain; charset=utf-8" };
  if (path === "/openapi/v2") {
    return request.accept.includes("proto")
      ? { kind: "bytes", body: OPENAPI_V2_PROTOBUF, contentType: OPENAPI_V2_CONTENT_TYPE }
      : replyJson(200, OPENAPI_V2_JSON);
  }
  if (path === "/openapi/v3") return replyJson(200, openApiRoot(registry));
  if (path.startsWith("/openapi/v3/")) {
    const document = openApiDocument(registry, path.slice("/openapi/v3/".length));
    return document === undefined ? replyFailed(NOT_THERE) : replyJson(200, document);
  }
  if (path === "/" || path === "")
    return replyJson(200, { paths: ["/api", "/apis", "/healthz", "/openapi/v2", "/openapi/v3", "/version"] });
  const found = discover(registry, path, request.accept);
  return found === undefined
    ? undefined
    : { kind: "json", code: 200, body: found.body, contentType: found.contentType };
}

async function collection(handlers: Handlers, request: ApiRequest, route: ResourceRoute): Promise<Reply> {
  switch (request.method) {
    case "GET":
      return isWatch(request) ? handlers.reader.watch(request, route) : handlers.reader.list(request, route);
    case "POST":
      return handlers.writer.create(request, route);
    case "DELETE":
      return handlers.writer.removeCollection(request, route);
    default:
      return methodNotAllowed(request);
  }
}

async function single(
  handlers: Handlers,
  request: ApiRequest,
  route: ResourceRoute & { name: string },
): Promise<Reply> {
  switch (request.method) {
    case "GET":
      return handlers.reader.get(request, route, route.name);
    case "PUT":
      return handlers.writer.replace(request, route, "object");
    case "PATCH":
      return handlers.writer.patch(request, route, "object");
    case "DELETE":
      return handlers.writer.remove(request, route, route.name);
    default:
      return methodNotAllowed(request);
  }
}

async function subresource(handlers: Handlers, request: ApiRequest, route: ResourceRoute): Promise<Reply> {
  const { method } = request;
  const { kind, name = "" } = route;
  if (route.subresource === "finalize" && kind.kind === "Namespace" && method === "PUT") {
    return handlers.writer.replace(request, route, "object");
  }
  if (kind.kind === "Pod" && route.subresource === "ephemeralcontainers") return replyFailed(NO_DEBUGGING);
  if (!kind.subresources.some((known) => known === route.subresource)) return replyFailed(NOT_THERE);
  if (route.subresource === "scale") {
    return method === "GET" || method === "PUT" || method === "PATCH"
      ? handleScale(handlers.resources, request, route)
      : methodNotAllowed(request);
  }
  if (route.subresource === "log") {
    if (method !== "GET") return methodNotAllowed(request);
    const { resources, runtime } = handlers;
    return handleLogs({ resources, runtime, nowMs: handlers.clock.wallMs() }, request, route);
  }
  if (SESSION_SUBRESOURCES.includes(route.subresource ?? ""))
    return replyFailed(badRequest("Upgrade request required"));
  if (method === "GET") return handlers.reader.get(request, route, name);
  if (method === "PUT") return handlers.writer.replace(request, route, "status");
  return method === "PATCH" ? handlers.writer.patch(request, route, "status") : methodNotAllowed(request);
}

function isWatch(request: ApiRequest): boolean {
  const value = request.query.get("watch");
  return value === "true" || value === "1";
}

function methodNotAllowed(request: ApiRequest): Reply {
  return replyFailed(
    failure(405, "MethodNotAllowed", `the server does not allow ${request.method} on ${request.pathname}`),
  );
}
