// How a cluster chooses among its hosts: the policy, its numbers, and what all policies share.

import {
  type Cluster,
  type Cluster_CommonLbConfig,
  Cluster_LbPolicy,
  Cluster_RingHashLbConfig_HashFunction,
  type Cluster_SlowStartConfig,
} from "../../proto/gen/envoy/config/cluster/v3/cluster.ts";
import { HASH_TABLE_SIZE_MAX } from "../limits.ts";
import { type Field, fields } from "./field.ts";
import { durationMs } from "./value.ts";

export interface SlowStart {
  readonly windowMs: number;
  readonly aggression: number;
  /** Of a host's weight, at least this much from its first moment on. */
  readonly shareMin: number;
}

export type LbConfig =
  | { readonly kind: "round-robin"; readonly slowStart: SlowStart | undefined }
  | {
      readonly kind: "least-request";
      readonly choices: number;
      readonly bias: number;
      readonly slowStart: SlowStart | undefined;
    }
  | { readonly kind: "random" }
  | { readonly kind: "ring-hash"; readonly sizeMin: number; readonly sizeMax: number; readonly hash: "xx" | "murmur" }
  | { readonly kind: "maglev"; readonly tableSize: number }
  | { readonly kind: "original-dst"; readonly header: string | undefined; readonly portOverride: number }
  | { readonly kind: "dynamic-dns"; readonly hostsMax: number };

/** What holds whatever the policy is. */
export interface Balancing {
  readonly localityWeighted: boolean;
  /** Below it a priority takes all its hosts, healthy or not. */
  readonly panicPercent: number;
  /** In panic there is no answer rather than a sick host's. */
  readonly failOnPanic: boolean;
  readonly hashByHostname: boolean;
  readonly ignoreNewUntilChecked: boolean;
  readonly closeOnHostsChange: boolean;
}

const COMMON = fields(`healthyPanicThreshold localityConfigSpecifier updateMergeWindow closeConnectionsOnHostSetChange
  ignoreNewHostsUntilFirstHc consistentHashingLbConfig`);
const TABLE_SIZE_MAX = 5_000_011;

export function compileBalancing(common: Cluster_CommonLbConfig | undefined, at: Field): Balancing {
  const field = at.at("commonLbConfig");
  // Updates are merged by the event loop as they come; update_merge_window only bounds how often Envoy does the same work.
  if (common !== undefined) field.only(common, COMMON);
  const locality = common?.localityConfigSpecifier;
  const zones = locality?.$case === "zoneAwareLbConfig" ? locality.value : undefined;
  if (zones !== undefined && zones.routingEnabled?.value !== 0) {
    const advice = "routing to one's own zone is not built in; set it to 0, or use locality_weighted_lb_config";
    field.at("zoneAwareLbConfig").at("routingEnabled").refuse(advice);
  }
  const hashing = common?.consistentHashingLbConfig;
  if (hashing !== undefined) field.at("consistentHashingLbConfig").only(hashing, fields("useHostnameForHashing"));
  return {
    localityWeighted: locality?.$case === "localityWeightedLbConfig",
    panicPercent: Math.min(100, Math.floor(common?.healthyPanicThreshold?.value ?? 50)),
    failOnPanic: zones?.failTrafficOnPanic ?? false,
    hashByHostname: hashing?.useHostnameForHashing ?? false,
    ignoreNewUntilChecked: common?.ignoreNewHostsUntilFirstHc ?? false,
    closeOnHostsChange: common?.closeConnectionsOnHostSetChange ?? false,
  };
}

export function compileLb(cluster: Cluster, at: Field): LbConfig {
  const own = cluster.lbConfig;
  switch (cluster.lbPolicy) {
    case Cluster_LbPolicy.ROUND_ROBIN: {
      const config = own?.$case === "roundRobinLbConfig" ? own.value : undefined;
      return { kind: "round-robin", slowStart: slowStart(config?.slowStartConfig, at.at("roundRobinLbConfig")) };
    }
    case Cluster_LbPolicy.LEAST_REQUEST: {
      const config = own?.$case === "leastRequestLbConfig" ? own.value : undefined;
      return {
        kind: "least-request",
        choices: config?.choiceCount ?? 2,
        bias: config?.activeRequestBias?.defaultValue ?? 1,
        slowStart: slowStart(config?.slowStartConfig, at.at("leastRequestLbConfig")),
      };
    }
    case Cluster_LbPolicy.RANDOM:
      return { kind: "random" };
    case Cluster_LbPolicy.RING_HASH:
      return ring(cluster, at.at("ringHashLbConfig"));
    case Cluster_LbPolicy.MAGLEV: {
      const tableSize = (own?.$case === "maglevLbConfig" ? own.value.tableSize : undefined) ?? 65_537;
      if (!isPrime(tableSize) || tableSize > TABLE_SIZE_MAX) {
        at.at("maglevLbConfig").at("tableSize").refuse(`must be a prime number of at most ${TABLE_SIZE_MAX}`);
      }
      return { kind: "maglev", tableSize };
    }
    case Cluster_LbPolicy.CLUSTER_PROVIDED:
      at.at("lbPolicy").refuse("only ORIGINAL_DST clusters provide their own policy");
      return { kind: "random" };
    default:
      at.at("lbPolicy").refuse("this load balancing policy is not built in");
      return { kind: "random" };
  }
}

/** An ORIGINAL_DST cluster has no choice: the connection, or a header of the request, says where it goes. */
export function compileOriginalDst(cluster: Cluster, at: Field): LbConfig {
  if (cluster.lbPolicy !== Cluster_LbPolicy.CLUSTER_PROVIDED) {
    at.at("lbPolicy").refuse("an ORIGINAL_DST cluster takes CLUSTER_PROVIDED");
  }
  const config = cluster.lbConfig?.$case === "originalDstLbConfig" ? cluster.lbConfig.value : undefined;
  if (config !== undefined) {
    at.at("originalDstLbConfig").only(config, fields("useHttpHeader httpHeaderName upstreamPortOverride"));
  }
  const header = config?.useHttpHeader === true ? config.httpHeaderName || "x-envoy-original-dst-host" : undefined;
  return { kind: "original-dst", header: header?.toLowerCase(), portOverride: config?.upstreamPortOverride ?? 0 };
}

function ring(cluster: Cluster, at: Field): LbConfig {
  const config = cluster.lbConfig?.$case === "ringHashLbConfig" ? cluster.lbConfig.value : undefined;
  const sizeMin = config?.minimumRingSize ?? 1024;
  const sizeMax = config?.maximumRingSize ?? HASH_TABLE_SIZE_MAX;
  if (sizeMin > sizeMax) at.refuse(`minimum_ring_size (${sizeMin}) is above maximum_ring_size (${sizeMax})`);
  if (sizeMax > HASH_TABLE_SIZE_MAX) at.at("maximumRingSize").refuse(`at most ${HASH_TABLE_SIZE_MAX}`);
  const murmur = config?.hashFunction === Cluster_RingHashLbConfig_HashFunction.MURMUR_HASH_2;
  return { kind: "ring-hash", sizeMin, sizeMax, hash: murmur ? "murmur" : "xx" };
}

function slowStart(config: Cluster_SlowStartConfig | undefined, at: Field): SlowStart | undefined {
  if (config === undefined) return undefined;
  const field = at.at("slowStartConfig");
  const aggression = config.aggression?.defaultValue ?? 1;
  if (aggression <= 0) field.at("aggression").refuse("must be above 0");
  const windowMs = durationMs(config.slowStartWindow) ?? 0;
  if (windowMs <= 0) return undefined;
  return { windowMs, aggression, shareMin: (config.minWeightPercent?.value ?? 10) / 100 };
}

function isPrime(number: number): boolean {
  if (number < 2 || !Number.isInteger(number)) return false;
  for (let divisor = 2; divisor * divisor <= number; divisor += 1) if (number % divisor === 0) return false;
  return true;
}
