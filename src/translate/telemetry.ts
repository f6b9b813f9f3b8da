// What one proxy is told of telemetry: resolved rules, with a key by which equal ones are recognised.

import { type AccessLogRule, accessLogsOf } from "../model/access-log.ts";
import type { MeshSnapshot } from "../model/snapshot.ts";
import { type TracingRule, telemetriesOf, tracingOf } from "../model/telemetry.ts";
import type { ProxyNode } from "./proxy.ts";

export interface ProxyTelemetry {
  /** Empty: nothing is told. */
  readonly key: string;
  readonly client: TracingRule | undefined;
  readonly server: TracingRule | undefined;
  /** What OpenTelemetry's spans are told to come from; empty: the proxy knows it itself. */
  readonly serviceName: string;
  readonly clientLogs: readonly AccessLogRule[];
  readonly serverLogs: readonly AccessLogRule[];
}

const NOTHING: ProxyTelemetry = {
  key: "",
  client: undefined,
  server: undefined,
  serviceName: "",
  clientLogs: [],
  serverLogs: [],
};

export function telemetryOf(snapshot: MeshSnapshot, proxy: ProxyNode): ProxyTelemetry {
  const { telemetry, mesh, resources } = snapshot;
  const telemetries = telemetriesOf(telemetry, { namespace: proxy.namespace, labels: proxy.labels }, mesh);
  // Envoy has no way to speak to a Jaeger agent.
  const world = { mesh, resources, withoutAgents: proxy.engine === "envoy" };
  const client = tracingOf(telemetries, "CLIENT", world, proxy.tracing);
  const server = tracingOf(telemetries, "SERVER", world, proxy.tracing);
  const clientLogs = accessLogsOf(telemetries, "CLIENT", mesh);
  const serverLogs = accessLogsOf(telemetries, "SERVER", mesh);
  const traces = client !== undefined || server !== undefined;
  if (!traces && clientLogs.length === 0 && serverLogs.length === 0) return NOTHING;
  const app = proxy.labels["app"] ?? proxy.labels["app.kubernetes.io/name"];
  const serviceName = proxy.engine === "weft" || !traces ? "" : `${app ?? "istio-proxy"}.${proxy.namespace}`;
  const told = { client, server, serviceName, clientLogs, serverLogs };
  return { key: JSON.stringify(told), ...told };
}
