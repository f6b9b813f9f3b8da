// The sidecar's own HTTP ports: readiness (15021), Prometheus (15090), and merged metrics with rewritten probes (15020).

import http from "node:http";
import { type ListenAddress, listen } from "../base/listen.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { Log } from "../observe/log.ts";
import type { Registry } from "../observe/metrics.ts";
import { PROMETHEUS_CONTENT_TYPE } from "../observe/prometheus.ts";
import { fetchAppMetrics } from "./app-metrics.ts";
import type { AppMetrics } from "./environment.ts";
import { CONNECTIONS_MAX } from "./limits.ts";
import { type Prober, probe } from "./prober.ts";

export interface StatusOptions {
  /** What is still missing, in words; undefined when ready. */
  notReady(): string | undefined | Promise<string | undefined>;
  /** The proxy's metrics as Prometheus has them. */
  proxyPage(): string | Promise<string>;
  /** The proxy's and the agent's, on one page: a metric that both have must have one TYPE line. */
  mergedPage(): string | Promise<string>;
  readonly agentRegistry: Registry;
  readonly probers: ReadonlyMap<string, Prober>;
  /** Where the application listens. */
  readonly appAddress: string;
  readonly appMetrics: AppMetrics | undefined;
  quit(): void;
  drain(): void;
  readonly log: Log;
}

export interface StatusServers {
  close(): void;
}

export interface StatusAddresses {
  readonly status: ListenAddress;
  readonly readiness: ListenAddress;
  readonly prometheus: ListenAddress;
}

export async function startStatusServers(
  options: StatusOptions,
  addresses: StatusAddresses,
): Promise<Result<StatusServers, string>> {
  const scrapes = makeScrapeCounters(options.agentRegistry);
  const readiness: Handler = (_request, response) => {
    void Promise.resolve(options.notReady()).then((missing) =>
      reply(response, missing === undefined ? 200 : 503, missing === undefined ? "" : `${missing}\n`),
    );
  };
  const prometheus: Handler = (_request, response) => {
    void Promise.resolve(options.proxyPage()).then((page) => reply(response, 200, page, PROMETHEUS_CONTENT_TYPE));
  };
  const handlers: readonly (readonly [ListenAddress, Handler])[] = [
    [addresses.readiness, route({ "/healthz/ready": readiness })],
    [addresses.prometheus, route({ "/stats/prometheus": prometheus })],
    [addresses.status, statusRoutes(options, { readiness, scrapes })],
  ];
  const servers: http.Server[] = [];
  const close = () => {
    for (const server of servers) {
      server.close();
      server.closeAllConnections();
    }
  };
  for (const [address, handler] of handlers) {
    const server = http.createServer({ requestTimeout: 10_000, maxHeaderSize: 16_384 }, handler);
    server.maxConnections = CONNECTIONS_MAX;
    servers.push(server);
    const bound = await listen(server, address);
    if (!bound.ok) {
      close();
      return err(bound.error);
    }
  }
  return ok({ close });
}

type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => void;

interface StatusParts {
  readonly readiness: Handler;
  readonly scrapes: ReturnType<typeof makeScrapeCounters>;
}

function statusRoutes(options: StatusOptions, parts: StatusParts): Handler {
  const merged: Handler = (request, response) => {
    void mergedMetrics(options, { ...parts, accept: request.headers.accept ?? "" }).then((page) =>
      reply(response, 200, page, PROMETHEUS_CONTENT_TYPE),
    );
  };
  const fromPod =
    (run: () => void): Handler =>
    (request, response) => {
      if (request.method !== "POST") return reply(response, 405, "use POST\n");
      if (!isOwnAddress(request.socket.remoteAddress ?? "", options.appAddress)) {
        return reply(response, 403, "only from within the pod\n");
      }
      reply(response, 200, "OK\n");
      run();
    };
  const probes = Object.fromEntries(
    Array.from(options.probers, ([path, prober]) => [path, probeHandler(prober, options)] as const),
  );
  return route({
    "/healthz/ready": parts.readiness,
    "/stats/prometheus": merged,
    "/metrics": merged,
    "/quitquitquit": fromPod(options.quit),
    "/drain": fromPod(options.drain),
    ...probes,
  });
}

function probeHandler(prober: Prober, options: StatusOptions): Handler {
  return (_request, response) => {
    void probe(prober, options.appAddress).then((outcome) => {
      if (!outcome.healthy) options.log.debug(`probe failed: ${outcome.message}`);
      reply(response, outcome.healthy ? 200 : 503, `${outcome.message}\n`);
    });
  };
}

async function mergedMetrics(
  options: StatusOptions,
  parts: StatusParts & { readonly accept: string },
): Promise<string> {
  parts.scrapes.all.inc();
  let page = await options.mergedPage();
  if (options.appMetrics === undefined) return page;
  const fetched = await fetchAppMetrics({ ...options.appMetrics, address: options.appAddress });
  if (fetched.ok) page += fetched.value;
  else {
    parts.scrapes.appFailures.inc();
    options.log.debug(`the application's metrics were not had: ${fetched.error}`);
  }
  return page;
}

function makeScrapeCounters(registry: Registry) {
  const scope = registry.scope({ statPrefix: "", namePrefix: "", labels: {} });
  return {
    all: scope.counter("istio_agent_scrapes_total"),
    appFailures: scope.counter("istio_agent_scrape_failures_total", { type: "application" }),
  };
}

function route(handlers: Readonly<Record<string, Handler>>): Handler {
  return (request, response) => {
    const path = (request.url ?? "/").split("?")[0] ?? "/";
    const handler = Object.hasOwn(handlers, path) ? handlers[path] : undefined;
    if (handler === undefined) reply(response, 404, `${path} is not served here: ${Object.keys(handlers).join(" ")}\n`);
    else handler(request, response);
  };
}

function reply(response: http.ServerResponse, code: number, body: string, type = "text/plain; charset=utf-8"): void {
  response.writeHead(code, { "content-type": type, "content-length": Buffer.byteLength(body) });
  response.end(body);
}

function isOwnAddress(remote: string, podAddress: string): boolean {
  const address = remote.replace(/^::ffff:/, "");
  return address === podAddress || address === "::1" || address.startsWith("127.");
}
