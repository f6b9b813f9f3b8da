// Port 15014: metrics, readiness, version, Istio's debug pages, profiles.

import http from "node:http";
import type { AddressInfo } from "node:net";
import { PROMETHEUS_CONTENT_TYPE } from "../observe/prometheus.ts";
import { type Answer, type DebugSource, PAGES, text } from "./debug-pages.ts";
import { DEBUG_CHECK_MS, DEBUG_CONNECTIONS_MAX, DEBUG_HEAD_MS, DEBUG_REQUEST_MS } from "./limits.ts";
import { takeProfile } from "./profiles.ts";
import { TRACE_PAGES, TRACE_PATH, tracePage } from "./trace-pages.ts";

export interface Listening {
  readonly address: string;
  readonly port: number;
}

export interface DebugServer {
  readonly at: Listening;
  close(): Promise<void>;
}

export async function startDebugServer(at: Listening, source: DebugSource): Promise<DebugServer> {
  const bounds = {
    headersTimeout: DEBUG_HEAD_MS,
    requestTimeout: DEBUG_REQUEST_MS,
    connectionsCheckingInterval: DEBUG_CHECK_MS,
  };
  const server = http.createServer(bounds, (request, response) => {
    void answerTo(request, source)
      .catch((error: unknown) => text(500, `${error instanceof Error ? error.message : String(error)}\n`))
      .then((answer) => {
        response.writeHead(answer.status, { "content-type": answer.type });
        response.end(answer.body);
      });
  });
  server.maxConnections = DEBUG_CONNECTIONS_MAX;
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

/** What probes, scrapers and everybody may ask. */
const OPEN: ReadonlySet<string> = new Set(["/ready", "/metrics", "/version"]);

const OTHERS = [
  ["/ready", "whether the API server has been read"],
  ["/metrics", "metrics for Prometheus"],
  ["/version", "the version"],
  ["/debug/list", "the names of these pages as JSON"],
  ["/debug/pprof/profile?seconds=N", "a CPU profile of the next seconds (.cpuprofile)"],
  ["/debug/pprof/heap?seconds=N", "what is allocated in the next seconds (.heapprofile)"],
] as const;

async function answerTo({ url: asked, socket, headers }: http.IncomingMessage, source: DebugSource): Promise<Answer> {
  const url = URL.parse(asked ?? "/", "http://localhost");
  if (url === null) return text(400, "the request's target is no path\n");
  if (!OPEN.has(url.pathname)) {
    const { remoteAddress: remote = "", localAddress: local = "" } = socket;
    const refusal = await source.access({ remote, local, authorization: headers.authorization });
    if (refusal !== undefined) return text(401, `${refusal}\n`);
  }
  return route(url, source);
}

async function route(url: URL, source: DebugSource): Promise<Answer> {
  switch (url.pathname) {
    case "/ready":
      return source.ready() ? text(200, "") : text(503, "the API server has not been read yet\n");
    case "/metrics":
      return { status: 200, type: PROMETHEUS_CONTENT_TYPE, body: source.metrics() };
    case "/version":
      return json({ version: source.version(), node: process.versions.node, platform: process.platform });
    case "/debug":
    case "/debug/":
      return text(200, index());
    case "/debug/list":
      return json(PAGES.map(({ name }) => `/debug/${name}`));
    case "/debug/pprof/profile":
      return profile("cpu", url);
    case "/debug/pprof/heap":
      return profile("heap", url);
    default: {
      if (url.pathname === TRACE_PATH || url.pathname.startsWith(`${TRACE_PATH}/`))
        return tracePage(source.traces, url.pathname.slice(TRACE_PATH.length), url.searchParams);
      const page = PAGES.find(({ name }) => `/debug/${name.split("?")[0]}` === url.pathname);
      return page?.run(source, url.searchParams) ?? text(404, `no such page; there are\n${index()}`);
    }
  }
}

async function profile(kind: "cpu" | "heap", url: URL): Promise<Answer> {
  const taken = await takeProfile(kind, Number(url.searchParams.get("seconds") ?? 5));
  return taken.ok ? json(taken.value) : text(400, `${taken.error}\n`);
}

function index(): string {
  const rows = [...OTHERS, ...TRACE_PAGES, ...PAGES.map(({ name, help }) => [`/debug/${name}`, help] as const)];
  const width = Math.max(...rows.map(([path]) => path.length));
  return rows.map(([path, help]) => `${path.padEnd(width)}  ${help}\n`).join("");
}

function json(value: unknown): Answer {
  return { status: 200, type: "application/json", body: `${JSON.stringify(value)}\n` };
}
