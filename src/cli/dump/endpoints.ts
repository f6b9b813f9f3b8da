// `weft proxy-config endpoint`: where a proxy's clusters lead, and in what state each endpoint is.

import { compare } from "./clusters.ts";
import { type Entry, type Json, recordAt, recordsAt, textAt, valueAt } from "./dump.ts";

export interface EndpointFilter {
  readonly address?: string | undefined;
  readonly port?: string | undefined;
  readonly cluster?: string | undefined;
  readonly status?: string | undefined;
}

export interface EndpointRow {
  readonly address: string;
  readonly port: string;
  readonly status: string;
  /** Whether outlier detection lets it be. */
  readonly outlier: "OK" | "FAILED";
  readonly cluster: string;
  readonly body: Json;
}

/** From the admin interface's `/clusters?format=json`, with names in lowerCamelCase or not. */
export function endpointsOfClusters(value: unknown): readonly EndpointRow[] {
  const statuses = [...recordsAt(value, "cluster_statuses"), ...recordsAt(value, "clusterStatuses")];
  return statuses.flatMap((cluster) => {
    const hosts = [...recordsAt(cluster, "host_statuses"), ...recordsAt(cluster, "hostStatuses")];
    return hosts.map((host): EndpointRow => {
      const health = { ...recordAt(host, "healthStatus"), ...recordAt(host, "health_status") };
      const failed = health["failed_outlier_check"] === true || health["failedOutlierCheck"] === true;
      const eds = textAt(health, "eds_health_status") || textAt(health, "edsHealthStatus") || "HEALTHY";
      const isHealthy =
        eds === "HEALTHY" && !Object.entries(health).some(([key, value]) => /^failed/.test(key) && value === true);
      const { address, port } = addressOf(recordAt(host, "address"));
      return {
        address,
        port,
        status: isHealthy ? "HEALTHY" : eds === "HEALTHY" ? "UNHEALTHY" : eds,
        outlier: failed ? "FAILED" : "OK",
        cluster: textAt(cluster, "name"),
        body: host,
      };
    });
  });
}

/** From a config_dump: what was configured, which says nothing of ejections. */
export function endpointsOfDump(assignments: readonly Entry[], clusters: readonly Entry[]): readonly EndpointRow[] {
  // Where both pages have them, they are the same.
  const inline =
    assignments.length > 0 ? [] : clusters.map(({ name, body }) => ({ name, body: recordAt(body, "loadAssignment") }));
  return [...assignments, ...inline].flatMap(({ name, body }) =>
    recordsAt(body, "endpoints").flatMap((locality) =>
      recordsAt(locality, "lbEndpoints").map((endpoint): EndpointRow => {
        const { address, port } = addressOf(recordAt(endpoint, "endpoint", "address"));
        const status = textAt(endpoint, "healthStatus") || "HEALTHY";
        return {
          address,
          port,
          status: status === "UNKNOWN" ? "HEALTHY" : status,
          outlier: "OK",
          cluster: name,
          body: endpoint,
        };
      }),
    ),
  );
}

function addressOf(address: Json): { readonly address: string; readonly port: string } {
  const socket = { ...recordAt(address, "socketAddress"), ...recordAt(address, "socket_address") };
  const pipe = textAt(address, "pipe", "path");
  const internal = { ...recordAt(address, "envoyInternalAddress"), ...recordAt(address, "envoy_internal_address") };
  if (pipe !== "") return { address: `unix://${pipe}`, port: "" };
  const name = textAt(internal, "serverListenerName") || textAt(internal, "server_listener_name");
  if (name !== "") return { address: `envoy://${name}`, port: textAt(internal, "endpointId") };
  const port = valueAt(socket, "portValue") ?? valueAt(socket, "port_value");
  return { address: textAt(socket, "address"), port: port === undefined ? "" : String(port) };
}

export function filterEndpoints(rows: readonly EndpointRow[], filter: EndpointFilter): readonly EndpointRow[] {
  return rows.filter(
    (row) =>
      (filter.address === undefined || row.address === filter.address) &&
      (filter.port === undefined || row.port === filter.port) &&
      (filter.cluster === undefined || row.cluster === filter.cluster) &&
      (filter.status === undefined || row.status.toLowerCase() === filter.status.toLowerCase()),
  );
}

export const ENDPOINT_HEADER = ["ENDPOINT", "STATUS", "OUTLIER CHECK", "CLUSTER"];

export function endpointRows(rows: readonly EndpointRow[]): readonly (readonly string[])[] {
  return [...rows]
    .sort((a, b) => compare(a.cluster, b.cluster) || compare(a.address, b.address) || compare(a.port, b.port))
    .map(({ address, port, status, outlier, cluster }) => [
      port === "" ? address : `${address}:${port}`,
      status,
      outlier,
      cluster,
    ]);
}
