// How the proxy finds a service's endpoints: told by discovery, looked up by name, or the address that was called.

import { effectivePolicy } from "../model/destination.ts";
import {
  type Cluster,
  Cluster_DiscoveryType,
  Cluster_DnsLookupFamily,
  Cluster_LbPolicy,
} from "../proto/gen/envoy/config/cluster/v3/cluster.ts";
import { loadAssignment } from "./endpoint.ts";
import type { ClusterTarget } from "./target.ts";
import type { ClientView } from "./view.ts";
import { durationOf } from "./wire.ts";

type Finding = "eds" | "original" | "strict-dns" | "logical-dns" | "dynamic-dns";

/** In explicit mode and at a gateway there is no address that was called. */
export function knowsCalled({ mode, type }: ClientView): boolean {
  return mode === "REDIRECT" && type === "sidecar";
}

export function findingOf(target: ClusterTarget, view: ClientView): Finding {
  const { service, port, subset, rule } = target;
  const called = knowsCalled(view);
  switch (service.resolution) {
    case "STATIC": {
      const { loadBalancer } = effectivePolicy(rule, subset, port.number);
      return loadBalancer?.simple === "PASSTHROUGH" && called ? "original" : "eds";
    }
    case "NONE":
      if (called) return "original";
      return service.host.startsWith("*") ? "dynamic-dns" : "strict-dns";
    case "DNS":
      return "strict-dns";
    case "DNS_ROUND_ROBIN":
      return "logical-dns";
    case "DYNAMIC_DNS":
      return "dynamic-dns";
  }
}

/** Of a cluster made for discovery. */
export function callOriginal(cluster: Cluster): void {
  cluster.clusterDiscoveryType = { $case: "type", value: Cluster_DiscoveryType.ORIGINAL_DST };
  cluster.edsClusterConfig = undefined;
  cluster.lbPolicy = Cluster_LbPolicy.CLUSTER_PROVIDED;
  cluster.lbConfig = undefined;
}

/** Names are looked up again when their records say so, at the latest after MeshConfig's time. */
export function lookUp(
  cluster: Cluster,
  kind: "strict-dns" | "logical-dns",
  at: { target: ClusterTarget; view: ClientView },
): void {
  const { STRICT_DNS, LOGICAL_DNS } = Cluster_DiscoveryType;
  const { target, view } = at;
  cluster.clusterDiscoveryType = { $case: "type", value: kind === "strict-dns" ? STRICT_DNS : LOGICAL_DNS };
  cluster.edsClusterConfig = undefined;
  cluster.dnsLookupFamily = view.family === 6 ? Cluster_DnsLookupFamily.V6_ONLY : Cluster_DnsLookupFamily.V4_ONLY;
  cluster.dnsRefreshRate = durationOf(view.snapshot.mesh.dnsRefreshRateMs);
  cluster.respectDnsTtl = true;
  cluster.loadAssignment = loadAssignment(target, view);
}
