// Envoy's admin interface over the running proxy: one table of endpoints behind a small HTTP server.

import http from "node:http";
import { type ListenAddress, listen } from "../../base/listen.ts";
import { ok, type Result } from "../../base/result.ts";
import type { Handover } from "../socket/handover.ts";
import { type AdminContext, type Answer, type Endpoint, type Query, text } from "./answer.ts";
import { certsEndpoint } from "./certs.ts";
import { clustersEndpoint } from "./clusters.ts";
import {
  drainListenersEndpoint,
  healthcheckFailEndpoint,
  healthcheckOkEndpoint,
  loggingEndpoint,
  quitEndpoint,
  runtimeModifyEndpoint,
} from "./control.ts";
import { CONNECTIONS_MAX, HEADER_BYTES_MAX, REQUEST_TIMEOUT_MS } from "./limits.ts";
import { requestsEndpoint } from "./requests.ts";
import {
  listenersEndpoint,
  memoryEndpoint,
  readyEndpoint,
  runtimeEndpoint,
  serverInfoEndpoint,
} from "./server-info.ts";
import { prometheusEndpoint, resetCountersEndpoint, statsEndpoint } from "./stats.ts";

export interface AdminServer {
  readonly port: number;
  close(): void;
}

export async function startAdmin(
  context: AdminContext,
  address: ListenAddress,
  handover?: Handover | undefined,
): Promise<Result<AdminServer, string>> {
  const options = { requestTimeout: REQUEST_TIMEOUT_MS, maxHeaderSize: HEADER_BYTES_MAX };
  const server = http.createServer(options, (request, response) => {
    request.resume();
    void answer(context, request).then((result) => send(response, result));
  });
  server.maxConnections = CONNECTIONS_MAX;
  const name = `admin ${address.host}:${address.port}`;
  const fd = handover?.inherited(name);
  const bound = await listen(server, fd === undefined ? address : { ...address, fd });
  if (!bound.ok) return bound;
  handover?.listening(name, server);
  return ok({
    port: bound.value,
    close() {
      server.close();
      server.closeAllConnections();
    },
  });
}

/** Loaded when first asked for: it needs every message that a configuration may hold. */
const configDump: Endpoint = {
  path: "/config_dump",
  help: "dump current configs; resource=FIELD, mask=FIELDS, name_regex=REGEX, include_eds",
  mutates: false,
  run: async (context, query) => (await import("./config-dump.ts")).configDumpEndpoint.run(context, query),
};

const ENDPOINTS: readonly Endpoint[] = [
  certsEndpoint,
  clustersEndpoint,
  configDump,
  drainListenersEndpoint,
  healthcheckFailEndpoint,
  healthcheckOkEndpoint,
  listenersEndpoint,
  loggingEndpoint,
  memoryEndpoint,
  quitEndpoint,
  readyEndpoint,
  requestsEndpoint,
  resetCountersEndpoint,
  runtimeEndpoint,
  runtimeModifyEndpoint,
  serverInfoEndpoint,
  statsEndpoint,
  prometheusEndpoint,
];

const BY_PATH = new Map(ENDPOINTS.map((endpoint) => [endpoint.path, endpoint]));

async function answer(context: AdminContext, request: http.IncomingMessage): Promise<Answer> {
  const { path, query } = parseTarget(request.url ?? "/");
  if (path === "/") return { code: 200, type: "text/html; charset=UTF-8", body: homePage() };
  if (path === "/help") return text(helpText());
  const endpoint = BY_PATH.get(path);
  if (endpoint === undefined) return text(`invalid path. ${helpText()}`, 404);
  const { method = "GET" } = request;
  if (endpoint.mutates && method !== "POST") return text(`Method ${method} not allowed, POST required.`, 405);
  if (method !== "GET" && method !== "HEAD" && method !== "POST") return text(`Method ${method} not allowed.\n`, 405);
  try {
    await context.view.refresh();
    return await endpoint.run(context, query);
  } catch (error) {
    return text(`${path} failed: ${error instanceof Error ? error.message : String(error)}\n`, 500);
  }
}

function parseTarget(target: string): { readonly path: string; readonly query: Query } {
  const mark = target.indexOf("?");
  const parameters = new URLSearchParams(mark === -1 ? "" : target.slice(mark + 1));
  return {
    path: mark === -1 ? target : target.slice(0, mark),
    query: {
      get: (name) => parameters.get(name) ?? undefined,
      has: (name) => parameters.has(name),
      entries: () => parameters.entries(),
    },
  };
}

function helpText(): string {
  const lines = ENDPOINTS.map(({ path, help, mutates }) => `  ${path}${mutates ? " (POST)" : ""}: ${help}\n`);
  return `admin commands are:\n  /: Admin home page\n  /help: print out list of admin commands\n${lines.join("")}`;
}

function homePage(): string {
  const rows = ENDPOINTS.map(({ path, help, mutates }) => {
    const control = mutates
      ? `<form method="post" action="${path}"><button>${path.slice(1)}</button></form>`
      : `<a href="${path}">${path.slice(1)}</a>`;
    return `<tr><td>${control}</td><td>${help}</td></tr>`;
  });
  return `<!doctype html><html lang="en"><title>weft admin</title><table>${rows.join("\n")}</table></html>\n`;
}

function send(response: http.ServerResponse, { code, type, body }: Answer): void {
  response.writeHead(code, {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-cache, max-age=0",
    "x-content-type-options": "nosniff",
    server: "envoy",
  });
  response.end(body);
}
