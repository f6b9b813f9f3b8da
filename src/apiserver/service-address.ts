// ClusterIPs and node ports: each given once, remembered by the Service that has it.

import { randomInt } from "node:crypto";
import { errorIssue, type Issue } from "../api/issue.ts";
import type { Kind } from "../api/kind.ts";
import { type Service, serviceKind } from "../api/kubernetes/service.ts";
import type { KubeObject } from "../api/object.ts";
import { err, ok, type Result } from "../base/result.ts";

/** 10.96.0.0/16, of which the first few are kept for well-known services. */
const NETWORK = "10.96";
const HOST_FIRST = 16;
const HOST_LAST = 65_534;
const NODE_PORT_FIRST = 30_000;
const NODE_PORT_LAST = 32_767;

export function isService(kind: Kind, object: KubeObject): object is Service {
  return kind.plural === serviceKind.plural && kind.group === "" && object.kind === "Service";
}

/** On an update, what the writer left out stays as it was given. */
export function keepAddress(service: Service, previous: Service): Service {
  if (service.spec.type === "ExternalName" || previous.spec.clusterIP === undefined) return service;
  const clusterIP = service.spec.clusterIP ?? "";
  const address = clusterIP === "" ? previous.spec.clusterIP : clusterIP;
  const ports = service.spec.ports?.map((port) => {
    const same = previous.spec.ports?.find((other) => other.port === port.port && other.protocol === port.protocol);
    const wantsNodePort = service.spec.type === "NodePort" || service.spec.type === "LoadBalancer";
    return wantsNodePort && port.nodePort === undefined && same?.nodePort !== undefined
      ? { ...port, nodePort: same.nodePort }
      : port;
  });
  return {
    ...service,
    spec: { ...service.spec, clusterIP: address, clusterIPs: [address], ...(ports === undefined ? {} : { ports }) },
  };
}

/** Gives the Service the addresses it still lacks. `others` are all other Services, so nothing may happen between this and the write. */
export function allocateAddress(service: Service, others: readonly Service[]): Result<Service, readonly Issue[]> {
  const { spec } = service;
  if (spec.type === "ExternalName") return ok(service);
  const taken = new Set(others.map((other) => other.spec.clusterIP ?? ""));
  const wanted = spec.clusterIP ?? "";
  if (wanted !== "" && wanted !== "None" && taken.has(wanted)) {
    return err([errorIssue("spec.clusterIPs", `failed to allocate IP ${wanted}: provided IP is already allocated`)]);
  }
  if (wanted !== "" && wanted !== "None" && !wanted.startsWith(`${NETWORK}.`)) {
    return err([
      errorIssue(
        "spec.clusterIPs",
        `failed to allocate IP ${wanted}: the provided IP is not in the valid range ${NETWORK}.0.0/16`,
      ),
    ]);
  }
  const clusterIP = wanted === "" ? freeAddress(taken) : wanted;
  if (clusterIP === undefined) return err([errorIssue("spec.clusterIPs", "no address is left in the range")]);
  const ports = withNodePorts(service, others);
  return ok({
    ...service,
    spec: { ...spec, clusterIP, clusterIPs: [clusterIP], ...(ports === undefined ? {} : { ports }) },
  });
}

/** From a random place on, so that an address that was just given up is not at once somebody else's. */
function freeAddress(taken: ReadonlySet<string>): string | undefined {
  const count = HOST_LAST - HOST_FIRST + 1;
  const start = randomInt(count);
  for (let offset = 0; offset < count; offset++) {
    const host = HOST_FIRST + ((start + offset) % count);
    const address = `${NETWORK}.${host >> 8}.${host & 255}`;
    if (!taken.has(address)) return address;
  }
  return undefined;
}

function withNodePorts(service: Service, others: readonly Service[]): Service["spec"]["ports"] {
  const { type, ports } = service.spec;
  if (ports === undefined || (type !== "NodePort" && type !== "LoadBalancer")) return ports;
  const taken = new Set(
    [service, ...others].flatMap((other) => (other.spec.ports ?? []).map((port) => port.nodePort ?? 0)),
  );
  return ports.map((port) => {
    if (port.nodePort !== undefined) return port;
    let nodePort = randomInt(NODE_PORT_FIRST, NODE_PORT_LAST + 1);
    while (taken.has(nodePort) && taken.size < NODE_PORT_LAST - NODE_PORT_FIRST) {
      nodePort = nodePort === NODE_PORT_LAST ? NODE_PORT_FIRST : nodePort + 1;
    }
    taken.add(nodePort);
    return { ...port, nodePort };
  });
}
