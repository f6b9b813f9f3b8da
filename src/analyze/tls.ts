// Between each client and each server of a service: how the client would connect, what the server takes, and whether that
// goes together. Pure.

import { effectivePolicy, findRule } from "../model/destination.ts";
import { formatRef } from "../model/finding.ts";
import type { Service, ServicePort } from "../model/service.ts";
import { originOf } from "./origin.ts";
import { modeOf } from "./peer.ts";
import { type Workload, type World, workloadsOfService } from "./world.ts";

type Sends = "mTLS" | "plaintext" | "TLS";

export interface TlsPair {
  /** Workloads that would all do the same. */
  readonly clients: readonly string[];
  readonly server: string;
  readonly host: string;
  /** The Service's, and the workload's. */
  readonly port: number;
  readonly targetPort: number;
  readonly sends: Sends;
  /** What decides that. */
  readonly sendsBy: string;
  readonly accepts: "STRICT" | "PERMISSIVE" | "DISABLE" | "plaintext";
  readonly acceptsBy: string;
  /** Why it can't work; empty where it does. */
  readonly conflict: string;
}

/** `servers`: those of the service that are asked about. */
export function tlsPairs(world: World, service: Service, servers?: readonly Workload[]): readonly TlsPair[] {
  const resource = world.snapshot.resources.services.get(`${service.namespace}/${service.name}`);
  const all = servers ?? (resource === undefined ? [] : workloadsOfService(world, resource));
  return all.flatMap((server) =>
    service.ports.flatMap((port) =>
      together(world.workloads.map((client) => pairOf(world, client, { server, service, port }))),
    ),
  );
}

interface Called {
  readonly server: Workload;
  readonly service: Service;
  readonly port: ServicePort;
}

function pairOf(world: World, client: Workload, called: Called): TlsPair {
  const { server, service, port } = called;
  const targetPort = targetNumber(port, server);
  const accepted = acceptance(world, server, targetPort);
  const sent = sending(world, client, called, accepted.accepts);
  return {
    clients: [formatRef(client.resource)],
    server: formatRef(server.resource),
    host: service.host,
    port: port.number,
    targetPort,
    ...sent,
    ...accepted,
    conflict: conflictOf(sent.sends, accepted.accepts),
  };
}

function acceptance(world: World, server: Workload, port: number): Pick<TlsPair, "accepts" | "acceptsBy"> {
  if (server.hasSidecar === false) return { accepts: "plaintext", acceptsBy: "it has no sidecar" };
  const { mode, resource } = modeOf(world, server, port);
  return { accepts: mode, acceptsBy: resource === undefined ? "the default" : formatRef(resource) };
}

function sending(
  world: World,
  client: Workload,
  { service, port }: Called,
  accepts: TlsPair["accepts"],
): Pick<TlsPair, "sends" | "sendsBy"> {
  if (client.hasSidecar === false) return { sends: "plaintext", sendsBy: "it has no sidecar" };
  const { destinations, mesh } = world.snapshot;
  const { namespace, labels } = client;
  const call = {
    clientNamespace: namespace,
    clientLabels: labels,
    serviceNamespace: service.namespace,
    host: service.host,
  };
  const rule = findRule(destinations, call, mesh);
  const mode = rule === undefined ? undefined : effectivePolicy(rule, undefined, port.number).tls?.mode;
  if (rule !== undefined && mode !== undefined) {
    const origin = originOf(world, rule, { subset: undefined, field: "tls.mode" });
    const by = origin === undefined ? "its DestinationRule" : formatRef(origin.resource);
    return {
      sends: mode === "ISTIO_MUTUAL" ? "mTLS" : mode === "DISABLE" ? "plaintext" : "TLS",
      sendsBy: `${by} (${mode})`,
    };
  }
  if (!mesh.enableAutoMtls) return { sends: "plaintext", sendsBy: "MeshConfig's enableAutoMtls is false" };
  const taken = accepts === "STRICT" || accepts === "PERMISSIVE";
  return { sends: taken ? "mTLS" : "plaintext", sendsBy: "automatic" };
}

function conflictOf(sends: Sends, accepts: TlsPair["accepts"]): string {
  if (accepts === "STRICT") {
    if (sends === "plaintext") return "STRICT closes plaintext connections";
    return sends === "TLS" ? "STRICT takes certificates of the mesh only" : "";
  }
  if (sends !== "mTLS" || accepts === "PERMISSIVE") return "";
  return "nobody ends the mesh's TLS there";
}

/** Clients that would do the same, in the order of the first of them. */
function together(pairs: readonly TlsPair[]): readonly TlsPair[] {
  const found = new Map<string, TlsPair>();
  for (const pair of pairs) {
    const key = JSON.stringify([pair.sends, pair.sendsBy, pair.accepts, pair.conflict]);
    const known = found.get(key);
    found.set(key, known === undefined ? pair : { ...known, clients: [...known.clients, ...pair.clients] });
  }
  return [...found.values()];
}

function targetNumber({ targetPort, number }: ServicePort, { spec }: Workload): number {
  if (typeof targetPort === "number") return targetPort;
  const named = spec.containers.flatMap(({ ports }) => ports ?? []).find(({ name }) => name === targetPort);
  return named?.containerPort ?? number;
}
