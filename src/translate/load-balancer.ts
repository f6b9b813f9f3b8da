// How a cluster chooses among its endpoints: Istio's load balancer settings to Envoy's policies.

import type { LoadBalancerSettings } from "../api/istio/destination-rule.ts";
import {
  type Cluster,
  Cluster_LbPolicy,
  Cluster_SlowStartConfig,
} from "../proto/gen/envoy/config/cluster/v3/cluster.ts";
import { setRing } from "./consistent-hash.ts";
import { durationFromText } from "./wire.ts";

export function setLoadBalancer(cluster: Cluster, settings: LoadBalancerSettings | undefined): void {
  if (settings?.consistentHash !== undefined) {
    setRing(cluster, settings.consistentHash);
    return;
  }
  const slowStartConfig = warmUp(settings);
  switch (settings?.simple) {
    case "RANDOM":
      cluster.lbPolicy = Cluster_LbPolicy.RANDOM;
      return;
    case "ROUND_ROBIN":
      cluster.lbPolicy = Cluster_LbPolicy.ROUND_ROBIN;
      if (slowStartConfig !== undefined) cluster.lbConfig = { $case: "roundRobinLbConfig", value: { slowStartConfig } };
      return;
    default:
      cluster.lbPolicy = Cluster_LbPolicy.LEAST_REQUEST;
      if (slowStartConfig === undefined) return;
      cluster.lbConfig = {
        $case: "leastRequestLbConfig",
        value: { choiceCount: undefined, activeRequestBias: undefined, slowStartConfig },
      };
  }
}

/** Envoy asks for a name under which the runtime may change it. */
const AGGRESSION_KEY = "weft.slow_start.aggression";

/** A new endpoint's share grows from `minimumPercent` (10 unless said) to the whole within the duration. */
function warmUp(settings: LoadBalancerSettings | undefined): Cluster_SlowStartConfig | undefined {
  const duration = settings?.warmup?.duration ?? settings?.warmupDurationSecs;
  if (duration === undefined) return undefined;
  const { minimumPercent, aggression } = settings?.warmup ?? {};
  return Cluster_SlowStartConfig.fromPartial({
    slowStartWindow: durationFromText(duration),
    ...(minimumPercent === undefined ? {} : { minWeightPercent: { value: minimumPercent } }),
    ...(aggression === undefined ? {} : { aggression: { defaultValue: aggression, runtimeKey: AGGRESSION_KEY } }),
  });
}
