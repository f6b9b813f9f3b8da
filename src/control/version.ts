// A subset of a service as what runs behind it: which workloads, and how many endpoints take requests.

import { findRule } from "../model/destination.ts";
import { matchesLabels, workloadOfPod } from "../model/endpoint.ts";
import { resolveHost } from "../model/hosts.ts";
import type { MeshSnapshot } from "../model/snapshot.ts";

export interface Version {
  readonly host: string;
  /** Of its workloads. */
  readonly namespace: string;
  readonly workloads: readonly string[];
  readonly endpoints: number;
}

/** Undefined where no such subset is defined, or there is no such service. */
export function versionOf(
  snapshot: MeshSnapshot,
  at: { readonly host: string; readonly namespace: string },
  subset: string,
): Version | undefined {
  const { mesh, services, destinations, resources } = snapshot;
  const host = resolveHost(at.host, at.namespace, mesh.clusterDomain);
  const service = services.get(host);
  if (service === undefined) return undefined;
  const call = { clientNamespace: at.namespace, clientLabels: {}, serviceNamespace: service.namespace, host };
  const labels = findRule(destinations, call, mesh)?.subsets.find(({ name }) => name === subset)?.labels;
  if (labels === undefined) return undefined;
  const selector = resources.services.get(`${service.namespace}/${service.name}`)?.spec?.selector ?? {};
  const pods = [...resources.pods.values()].filter(
    ({ metadata }) =>
      metadata.namespace === service.namespace &&
      matchesLabels(selector, metadata.labels ?? {}) &&
      matchesLabels(labels, metadata.labels ?? {}),
  );
  const ready = [...service.endpoints.values()].flat().filter((endpoint) => matchesLabels(labels, endpoint.labels));
  return {
    host,
    namespace: service.namespace,
    workloads: [...new Set(pods.map(workloadOfPod))],
    endpoints: ready.length,
  };
}
