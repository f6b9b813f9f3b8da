// Port 15014: metrics, readiness, and Istio's debug pages about what each proxy was sent.

import http from "node:http";
import type { AddressInfo } from "node:net";
import { jsonOf, SHORT_NAMES, TYPES } from "../serve/resource.ts";
import type { Connection } from "../serve/server.ts";
import type { ProxyConfiguration } from "../translate/translate.ts";

export interface DebugSource {
  ready(): boolean;
  metrics(): string;
  connections(): readonly Connection[];
  configuration(connection: Connection): ProxyConfiguration | undefined;
}

export interface Listening {
  readonly address: string;
  readonly port: number;
}

export interface DebugServer {
  readonly at: Listening;
  close(): Promise<void>;
}

export async function startDebugServer(at: Listening, source: DebugSource): Promise<DebugServer> {
  const server = http.createServer((request, response) => {
    const answer = route(new URL(request.url ?? "/", "http://localhost"), source);
    response.writeHead(answer.status, { "content-type": answer.type });
    response.end(answer.body);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(at.port, at.address, resolve);
  });
  const bound: string | AddressInfo | null = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : at.port;
  return {
    at: { address: at.address, port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const PAGES = ["/ready", "/metrics", "/debug/syncz", "/debug/config_dump?proxyID=POD.NAMESPACE"];

function route(url: URL, source: DebugSource): Answer {
  switch (url.pathname) {
    case "/ready":
      return source.ready() ? text(200, "") : text(503, "the API server has not been read yet\n");
    case "/metrics":
      return { status: 200, type: "text/plain; version=0.0.4", body: source.metrics() };
    case "/debug/syncz":
      return json(syncStatus(source.connections()));
    case "/debug/config_dump":
      return configDump(url.searchParams.get("proxyID") ?? "", source);
    case "/debug":
    case "/debug/":
      return text(200, `${PAGES.join("\n")}\n`);
    default:
      return text(404, `no such page; there are ${PAGES.join(", ")}\n`);
  }
}

function syncStatus(connections: readonly Connection[]): unknown {
  return connections.map(({ proxy, statuses, connectedAtMs }) => {
    const all = statuses();
    return {
      proxy: `${proxy.pod}.${proxy.namespace}`,
      proxyType: "sidecar",
      connectedAt: new Date(connectedAtMs).toISOString(),
      ...Object.fromEntries(
        TYPES.map((type) => [
          SHORT_NAMES[type],
          {
            state: all[type].state,
            resources: all[type].sent,
            ...(all[type].refusal === undefined ? {} : { refusal: all[type].refusal }),
          },
        ]),
      ),
    };
  });
}

function configDump(id: string, source: DebugSource): Answer {
  const connection = source
    .connections()
    .find(({ proxy }) => `${proxy.pod}.${proxy.namespace}` === id || proxy.id === id);
  if (connection === undefined) return text(404, `no proxy ${id} is connected; /debug/syncz lists those that are\n`);
  const configuration = source.configuration(connection);
  if (configuration === undefined) return text(503, "there is no configuration yet\n");
  return json(Object.fromEntries(TYPES.map((type) => [`${type}s`, jsonOf(type, configuration)])));
}

function text(status: number, body: string): Answer {
  return { status, type: "text/plain; charset=utf-8", body };
}

function json(value: unknown): Answer {
  return { status: 200, type: "application/json", body: `${JSON.stringify(value, undefined, 2)}\n` };
}
