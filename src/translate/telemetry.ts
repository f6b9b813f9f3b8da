// What one proxy is told of telemetry: resolved rules, with a key by which equal ones are recognised.

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
}

const NOTHING: ProxyTelemetry = { key: "", client: undefined, server: undefined, serviceName: "" };

export function telemetryOf(snapshot: MeshSnapshot, proxy: ProxyNode): ProxyTelemetry {
  const { telemetry, mesh, resources } = snapshot;
  const telemetries = telemetriesOf(telemetry, { namespace: proxy.namespace, labels: proxy.labels }, mesh);
  // Envoy has no way to speak to a Jaeger agent.
  const world = { mesh, resources, withoutAgents: proxy.engine === "envoy" };
  const client = tracingOf(telemetries, "CLIENT", world);
  const server = tracingOf(telemetries, "SERVER", world);
  if (client === undefined && server === undefined) return NOTHING;
  const app = proxy.labels["app"] ?? proxy.labels["app.kubernetes.io/name"];
  const serviceName = proxy.engine === "weft" ? "" : `${app ?? "istio-proxy"}.${proxy.namespace}`;
  return { key: JSON.stringify([client, server, serviceName]), client, server, serviceName };
}
