// The table as one bootstrap, and what an engine made of each call.

import http from "node:http";
import net from "node:net";
import type { Call, Json, WalkCase } from "./case.ts";
import { type OriginPorts, tableClusters } from "./clusters.ts";
import { LISTENERS } from "./listeners.ts";
import { TYPE } from "./route.ts";

export interface TablePorts extends OriginPorts {
  /** By name; 0: any. */
  readonly listeners: ReadonlyMap<string, number>;
  readonly admin: number;
}

/** Host, flags, details and route of each exchange: the end of the line is compared, the host finds it. */
const LOG_FORMAT = "%REQ(:AUTHORITY)% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %ROUTE_NAME%\n";

export function bootstrapOf(cases: readonly WalkCase[], ports: TablePorts, log: string): Json {
  const listener = (name: string) => ({
    name,
    address: { socketAddress: { address: "127.0.0.1", portValue: ports.listeners.get(name) ?? 0 } },
    filterChains: [{ filters: [manager(name, cases, log)] }],
  });
  return {
    admin: { address: { socketAddress: { address: "127.0.0.1", portValue: ports.admin } } },
    staticResources: {
      listeners: listenerNames(cases).map(listener),
      clusters: tableClusters(ports),
    },
  };
}

/** One for each shared connection manager and each case that has its own. */
export function listenerNames(cases: readonly WalkCase[]): readonly string[] {
  return [...LISTENERS.keys(), ...cases.filter(hasOwn).map((one) => one.name)];
}

function hasOwn(one: WalkCase): boolean {
  return [one.filters, one.manager, one.logFilter, one.logFormat].some((given) => given !== undefined);
}

function listenerOf(one: WalkCase): string {
  return hasOwn(one) ? one.name : (one.listener ?? "mesh");
}

function manager(name: string, cases: readonly WalkCase[], log: string): Json {
  const filter = (short: string, message: string) => ({
    name: `envoy.filters.http.${short}`,
    typedConfig: { "@type": `${TYPE}.filters.http.${short}.v3.${message}` },
  });
  const own = cases.find((one) => hasOwn(one) && one.name === name);
  return {
    name: "envoy.filters.network.http_connection_manager",
    typedConfig: {
      "@type": `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      statPrefix: name,
      ...LISTENERS.get(name),
      ...own?.manager,
      accessLog: [
        {
          name: "envoy.access_loggers.file",
          typedConfig: {
            "@type": `${TYPE}.access_loggers.file.v3.FileAccessLog`,
            path: log,
            logFormat: own?.logFormat ?? { textFormatSource: { inlineString: LOG_FORMAT } },
          },
          ...(own?.logFilter === undefined ? {} : { filter: own.logFilter }),
        },
      ],
      routeConfig: {
        name,
        virtualHosts: cases
          .filter((one) => listenerOf(one) === name)
          .map((one) => ({ name: one.name, domains: one.domains ?? [domainOf(one)], routes: one.routes, ...one.host })),
      },
      httpFilters: [
        ...(own?.filters ?? [filter("rbac", "RBAC"), filter("fault", "HTTPFault"), filter("cors", "Cors")]),
        filter("router", "Router"),
      ],
    },
  };
}

function domainOf(one: WalkCase): string {
  return `${one.name}.test`;
}

export interface Answer {
  readonly status: number;
  readonly reason: string;
  /** Of a raw call: all that came. */
  readonly wire: string;
  readonly body: string;
  readonly headers: http.IncomingHttpHeaders;
}

export function portOf(one: WalkCase, ports: TablePorts): number {
  return ports.listeners.get(listenerOf(one)) ?? 0;
}

export async function ask(one: WalkCase, ports: TablePorts): Promise<Answer> {
  for (const call of one.before ?? []) await send(one, call, ports);
  return send(one, one.call, ports);
}

function send(one: WalkCase, call: Call, ports: TablePorts): Promise<Answer> {
  if (call.raw !== undefined) return askRaw(call.raw, portOf(one, ports));
  return new Promise((resolve, reject) => {
    const request = http.request({
      host: "127.0.0.1",
      port: portOf(one, ports),
      method: call.method ?? "GET",
      path: call.path ?? "/",
      headers: { host: domainOf(one), ...call.headers },
      agent: false,
      timeout: 5000,
    });
    request.on("timeout", () => request.destroy(new Error("no answer within 5 s")));
    request.on("error", reject);
    request.on("response", (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => {
        body += text;
      });
      response.on("error", reject);
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          reason: response.statusMessage ?? "",
          wire: "",
          body,
          headers: response.headers,
        }),
      );
    });
    request.end(call.body);
  });
}

/** A peer that has said nothing for this long has said all it will. */
const SILENT_MS = 300;

function askRaw(text: string, port: number): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    let wire = "";
    socket.setTimeout(SILENT_MS, () => socket.destroy());
    socket.on("data", (bytes) => {
      wire += bytes.toString("latin1");
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve(readWire(wire)));
    socket.write(text, "latin1");
  });
}

function readWire(wire: string): Answer {
  const end = wire.indexOf("\r\n\r\n");
  const [first = "", ...lines] = wire.slice(0, end === -1 ? 0 : end).split("\r\n");
  const headers: Record<string, string> = {};
  for (const line of lines) headers[line.split(":", 1)[0]?.toLowerCase() ?? ""] = line.replace(/^[^:]*:\s*/, "");
  return {
    status: Number(first.slice(9, 12)),
    reason: first.slice(13),
    wire,
    body: end === -1 ? "" : wire.slice(end + 4),
    headers,
  };
}

/** The authority by which a case's line is found in the access log. */
export function authorityOf(one: WalkCase): string {
  const { call }: { call: Call } = one;
  if (call.authority !== undefined) return call.authority;
  return /\r\nhost: *([^\r]+)/i.exec(call.raw ?? "")?.[1] ?? call.headers?.["host"] ?? domainOf(one);
}
