// `…/pods/NAME:PORT/proxy/PATH` and `…/services/NAME:PORT/proxy/PATH`: an HTTP request handed on to what runs there.
// That is how commands reach a proxy's admin interface and the control plane's pages.

import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { err, ok, type Result } from "../base/result.ts";
import { authorize } from "./authenticate.ts";
import { type ApiRequest, type Reply, replyFailed } from "./http.ts";
import { PROXIED_TIMEOUT_MS } from "./limits.ts";
import type { PodRuntime } from "./pod-runtime.ts";
import { findContainer } from "./pod-streams.ts";
import type { Authorizer } from "./rbac.ts";
import type { Resources } from "./resources.ts";
import { endpointOf } from "./service-endpoint.ts";
import { type ApiFailure, failure } from "./status.ts";

interface ProxiedTarget {
  readonly namespace: string;
  readonly plural: "pods" | "services";
  readonly name: string;
  readonly port: string | undefined;
  /** With its leading slash, without the query. */
  readonly path: string;
}

/** Undefined for paths that are something else. */
export function parseProxied(pathname: string): ProxiedTarget | undefined {
  const match = /^\/api\/v1\/namespaces\/([^/]+)\/(pods|services)\/([^/]+)\/proxy(\/.*)?$/.exec(pathname);
  if (match === null) return undefined;
  const [, namespace = "", plural, target = "", path = "/"] = match;
  // Kubernetes' form is [SCHEME:]NAME[:PORT]; only plain HTTP is spoken here.
  const words = decodeURIComponent(target).split(":");
  const [name = "", port] = words[0] === "http" && words.length > 1 ? words.slice(1) : words;
  return { namespace, plural: plural === "pods" ? "pods" : "services", name, port, path };
}

export async function handleProxied(
  context: { readonly resources: Resources; readonly runtime: PodRuntime; readonly authorizer: Authorizer },
  request: ApiRequest,
  target: ProxiedTarget,
): Promise<Reply> {
  const { namespace, plural, name } = target;
  const parts = { group: "", version: "v1", namespace, plural, name, subresource: "proxy" };
  const { method, query } = request;
  const refusal = authorize(context.authorizer, request.user, { method, query, parts });
  if (refusal !== undefined) return replyFailed(refusal);
  const opened = plural === "pods" ? await toPod(context, target) : await toService(context.resources, target);
  if (!opened.ok) return replyFailed(opened.error);
  return handOn(request, target, opened.value);
}

async function toPod(
  { resources, runtime }: { readonly resources: Resources; readonly runtime: PodRuntime },
  { namespace, name, port = "80" }: ProxiedTarget,
): Promise<Result<Duplex, ApiFailure>> {
  const found = await findContainer(resources, { namespace, name }, "*");
  if (!found.ok) return found;
  return runtime.dial(found.value.ref, Number(port));
}

async function toService(resources: Resources, target: ProxiedTarget): Promise<Result<Duplex, ApiFailure>> {
  const { namespace, name, port } = target;
  const endpoint = endpointOf(resources.store, { namespace, name }, port);
  return endpoint.ok ? dial(endpoint.value) : endpoint;
}

function dial({ ip, port }: { readonly ip: string; readonly port: number }): Promise<Result<Duplex, ApiFailure>> {
  const { promise, resolve } = Promise.withResolvers<Result<Duplex, ApiFailure>>();
  const socket = connect({ host: ip, port });
  socket.once("connect", () => resolve(ok(socket)));
  socket.once("error", (error) => resolve(err(failure(502, "BadGateway", error.message))));
  return promise;
}

/** What belongs to one connection, or says who asks here. */
const OWN_HEADERS = new Set([
  "authorization",
  "connection",
  "host",
  "keep-alive",
  "proxy-authorization",
  "te",
  "upgrade",
]);

function handOn(request: ApiRequest, target: ProxiedTarget, socket: Duplex): Promise<Reply> {
  const { promise, resolve } = Promise.withResolvers<Reply>();
  const query = request.query.size === 0 ? "" : `?${request.query}`;
  const outgoing = httpRequest({
    method: request.method,
    path: `${target.path}${query}`,
    headers: { ...passedOn(request.message.headers), host: target.name, connection: "close" },
    timeout: PROXIED_TIMEOUT_MS,
    createConnection: () => socket,
  });
  outgoing.on("timeout", () => outgoing.destroy(new Error(`no answer within ${PROXIED_TIMEOUT_MS} ms`)));
  outgoing.on("error", (error) => resolve(replyFailed(failure(502, "BadGateway", error.message))));
  outgoing.on("response", (incoming) =>
    resolve({
      kind: "stream",
      run: (response) => {
        response.writeHead(incoming.statusCode ?? 502, passedOn(incoming.headers));
        response.on("close", () => incoming.destroy());
        incoming.on("error", () => response.destroy());
        incoming.pipe(response);
      },
    }),
  );
  request.message.pipe(outgoing);
  return promise;
}

function passedOn(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined || OWN_HEADERS.has(name) || name === "transfer-encoding" ? [] : [[name, value]],
    ),
  );
}
