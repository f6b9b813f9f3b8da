// What one proxy is told of telemetry: resolved rules, with a key by which equal ones are recognised.

import { accessLogsOf } from "../model/access-log.ts";
import type { MeshSnapshot } from "../model/snapshot.ts";
import { type TracingRule, telemetriesOf, tracingOf } from "../model/telemetry.ts";
import type { LogRule } from "./agent.ts";
import type { ProxyNode } from "./proxy.ts";

export interface ProxyTelemetry {
  /** Empty: nothing is told. */
  readonly key: string;
  readonly client: TracingRule | undefined;
  readonly server: TracingRule | undefined;
  /** What OpenTelemetry's spans are told to come from; empty: the proxy knows it itself. */
  readonly serviceName: string;
  readonly clientLogs: readonly LogRule[];
  readonly serverLogs: readonly LogRule[];
  /** An agent stands beside Envoy. */
  readonly agent: boolean;
}

const NOTHING: ProxyTelemetry = {
  key: "",
  client: undefined,
  server: undefined,
  serviceName: "",
  clientLogs: [],
  serverLogs: [],
  agent: false,
};

export function telemetryOf(snapshot: MeshSnapshot, proxy: ProxyNode): ProxyTelemetry {
  const { telemetry, mesh, resources } = snapshot;
  const telemetries = telemetriesOf(telemetry, { namespace: proxy.namespace, labels: proxy.labels }, mesh);
  // Envoy has no way to speak to a Jaeger agent, but weft's agent beside it.
  const world = { mesh, resources, withoutAgents: proxy.engine === "envoy" && proxy.agent !== true };
  const client = tracingOf(telemetries, "CLIENT", world, proxy.tracing);
  const server = tracingOf(telemetries, "SERVER", world, proxy.tracing);
  const agent = proxy.agent === true;
  const clientLogs: readonly LogRule[] = [
    ...accessLogsOf(telemetries, "CLIENT", world),
    ...(agent ? [{ reporter: "source" as const }] : []),
  ];
  const serverLogs: readonly LogRule[] = [
    ...accessLogsOf(telemetries, "SERVER", world),
    ...(agent ? [{ reporter: "destination" as const }] : []),
  ];
  const traces = client !== undefined || server !== undefined;
  if (!traces && clientLogs.length === 0 && serverLogs.length === 0) return NOTHING;
  const app = proxy.labels["app"] ?? proxy.labels["app.kubernetes.io/name"];
  const serviceName = proxy.engine === "weft" || !traces ? "" : `${app ?? "istio-proxy"}.${proxy.namespace}`;
  const told = { client, server, serviceName, clientLogs, serverLogs, agent };
  return { key: JSON.stringify(told), ...told };
}
