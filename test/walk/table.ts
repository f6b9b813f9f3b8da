// The table as one bootstrap, and what an engine made of each call.

import http from "node:http";
import type { Call, Json, WalkCase } from "./case.ts";
import { TYPE } from "./route.ts";

export interface TablePorts {
  readonly mesh: number;
  readonly edge: number;
  readonly admin: number;
  readonly origin: number;
  /** Nobody listens there. */
  readonly refusing: number;
}

/** Host, flags, details and route of each exchange: the end of the line is compared, the host finds it. */
const LOG_FORMAT = "%REQ(:AUTHORITY)% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %ROUTE_NAME%\n";

export function bootstrapOf(cases: readonly WalkCase[], ports: TablePorts, log: string): Json {
  const listener = (name: "mesh" | "edge") => ({
    name,
    address: { socketAddress: { address: "127.0.0.1", portValue: ports[name] } },
    filterChains: [{ filters: [manager(name, cases, log)] }],
  });
  return {
    admin: { address: { socketAddress: { address: "127.0.0.1", portValue: ports.admin } } },
    staticResources: {
      listeners: [listener("mesh"), listener("edge")],
      clusters: [cluster("origin", [ports.origin]), cluster("nowhere", []), cluster("refusing", [ports.refusing])],
    },
  };
}

function manager(name: "mesh" | "edge", cases: readonly WalkCase[], log: string): Json {
  const filter = (short: string, message: string) => ({
    name: `envoy.filters.http.${short}`,
    typedConfig: { "@type": `${TYPE}.filters.http.${short}.v3.${message}` },
  });
  const edge = {
    useRemoteAddress: true,
    normalizePath: true,
    mergeSlashes: true,
    commonHttpProtocolOptions: { headersWithUnderscoresAction: "REJECT_REQUEST" },
  };
  return {
    name: "envoy.filters.network.http_connection_manager",
    typedConfig: {
      "@type": `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      statPrefix: name,
      ...(name === "edge" ? edge : {}),
      accessLog: [
        {
          name: "envoy.access_loggers.file",
          typedConfig: {
            "@type": `${TYPE}.access_loggers.file.v3.FileAccessLog`,
            path: log,
            logFormat: { textFormatSource: { inlineString: LOG_FORMAT } },
          },
        },
      ],
      routeConfig: {
        name,
        virtualHosts: cases
          .filter((one) => (one.listener ?? "mesh") === name)
          .map((one) => ({ name: one.name, domains: one.domains ?? [domainOf(one)], routes: one.routes, ...one.host })),
      },
      httpFilters: [
        filter("rbac", "RBAC"),
        filter("fault", "HTTPFault"),
        filter("cors", "Cors"),
        filter("router", "Router"),
      ],
    },
  };
}

function cluster(name: string, ports: readonly number[]): Json {
  const lbEndpoints = ports.map((portValue) => ({
    endpoint: { address: { socketAddress: { address: "127.0.0.1", portValue } } },
  }));
  return {
    name,
    type: "STATIC",
    connectTimeout: "1s",
    loadAssignment: { clusterName: name, endpoints: lbEndpoints.length === 0 ? [] : [{ lbEndpoints }] },
  };
}

function domainOf(one: WalkCase): string {
  return `${one.name}.test`;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: http.IncomingHttpHeaders;
}

export function ask(one: WalkCase, ports: TablePorts): Promise<Answer> {
  const { call } = one;
  return new Promise((resolve, reject) => {
    const request = http.request({
      host: "127.0.0.1",
      port: ports[one.listener ?? "mesh"],
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
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }));
    });
    request.end(call.body);
  });
}

/** The authority by which a case's line is found in the access log. */
export function authorityOf(one: WalkCase): string {
  const { call }: { call: Call } = one;
  return call.headers?.["host"] ?? domainOf(one);
}
