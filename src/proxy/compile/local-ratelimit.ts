// The local rate limit: buckets of tokens, for all requests and for those that a descriptor describes.

import type {
  LocalRateLimitDescriptor,
  RateLimitDescriptor_Entry,
} from "../../proto/gen/envoy/extensions/common/ratelimit/v3/ratelimit.ts";
import { VhRateLimitsOptions } from "../../proto/gen/envoy/extensions/common/ratelimit/v3/ratelimit.ts";
import type { LocalRateLimit } from "../../proto/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit.ts";
import type { TokenBucket } from "../../proto/gen/envoy/type/v3/token_bucket.ts";
import { RATE_LIMIT_DESCRIPTORS_MAX } from "../limits.ts";
import { type Field, fields } from "./field.ts";
import { compileMutations, type HeaderMutation } from "./mutation.ts";
import { compileRateLimits, type DescriptorEntry, type RateLimitPolicy } from "./rate-limit.ts";
import { durationMs, runtimeFraction } from "./value.ts";

export interface BucketConfig {
  readonly tokensMax: number;
  readonly tokensPerFill: number;
  readonly fillIntervalMs: number;
}

export interface LocalRateLimitConfig {
  readonly kind: "local_ratelimit";
  readonly statPrefix: string;
  readonly status: number;
  readonly bucket: BucketConfig | undefined;
  /** By the text of its entries, see `descriptorKey`. */
  readonly descriptors: ReadonlyMap<string, BucketConfig>;
  readonly enabledShare: number;
  readonly enforcedShare: number;
  readonly requestMutations: readonly HeaderMutation[];
  readonly responseMutations: readonly HeaderMutation[];
  readonly stage: number;
  readonly perConnection: boolean;
  readonly rateLimitHeaders: boolean;
  readonly retryAfterHeader: boolean;
  readonly hostLimits: "override" | "include" | "ignore";
  /** The filter's own, instead of the routes'. */
  readonly policies: readonly RateLimitPolicy[] | undefined;
  readonly alwaysDefault: boolean;
}

const HONOURED =
  fields(`statPrefix status tokenBucket filterEnabled filterEnforced requestHeadersToAddWhenNotEnforced responseHeadersToAdd
  descriptors stage localRateLimitPerDownstreamConnection enableXRatelimitHeaders vhRateLimits alwaysConsumeDefaultTokenBucket
  rateLimits enableRetryAfterHeader`);

/** Envoy's least interval between two fills. */
const FILL_INTERVAL_MIN_MS = 50;

export function compileLocalRateLimit(limit: LocalRateLimit, at: Field): LocalRateLimitConfig {
  at.only(limit, HONOURED);
  if (limit.statPrefix === "") at.at("statPrefix").refuse("a local rate limit needs a stat_prefix");
  if (limit.localClusterRateLimit !== undefined) {
    at.at("localClusterRateLimit").refuse("a limit that is shared by several proxies is not built in");
  }
  const status = limit.status?.code ?? 0;
  return {
    kind: "local_ratelimit",
    statPrefix: limit.statPrefix,
    status: status < 400 ? 429 : status,
    bucket: limit.tokenBucket === undefined ? undefined : compileBucket(limit.tokenBucket, at.at("tokenBucket")),
    descriptors: compileDescriptors(limit.descriptors, at.at("descriptors")),
    enabledShare: runtimeFraction(limit.filterEnabled, 0, at.at("filterEnabled")),
    enforcedShare: runtimeFraction(limit.filterEnforced, 0, at.at("filterEnforced")),
    requestMutations: compileMutations(
      { add: limit.requestHeadersToAddWhenNotEnforced, remove: [] },
      at,
      "requestHeadersToAddWhenNotEnforced",
    ),
    responseMutations: compileMutations({ add: limit.responseHeadersToAdd, remove: [] }, at, "responseHeadersToAdd"),
    stage: limit.stage,
    perConnection: limit.localRateLimitPerDownstreamConnection,
    rateLimitHeaders: limit.enableXRatelimitHeaders !== 0,
    retryAfterHeader: limit.enableRetryAfterHeader,
    hostLimits: hostLimits(limit.vhRateLimits),
    policies: limit.rateLimits.length === 0 ? undefined : compileRateLimits(limit.rateLimits, at.at("rateLimits")),
    alwaysDefault: limit.alwaysConsumeDefaultTokenBucket ?? true,
  };
}

/** One text for the same entries in the same order. */
export function descriptorKey(entries: readonly DescriptorEntry[]): string {
  return JSON.stringify(entries.map(({ key, value }) => [key, value]));
}

function hostLimits(option: VhRateLimitsOptions): LocalRateLimitConfig["hostLimits"] {
  if (option === VhRateLimitsOptions.INCLUDE) return "include";
  return option === VhRateLimitsOptions.IGNORE ? "ignore" : "override";
}

function compileDescriptors(
  descriptors: readonly LocalRateLimitDescriptor[],
  at: Field,
): ReadonlyMap<string, BucketConfig> {
  const buckets = new Map<string, BucketConfig>();
  if (descriptors.length > RATE_LIMIT_DESCRIPTORS_MAX) at.refuse(`more than ${RATE_LIMIT_DESCRIPTORS_MAX} descriptors`);
  for (const [index, one] of descriptors.entries()) {
    const field = at.at(index);
    field.only(one, fields("entries tokenBucket"));
    for (const [position, entry] of one.entries.entries()) checkEntry(entry, field.at("entries").at(position));
    const key = descriptorKey(one.entries);
    if (buckets.has(key)) field.refuse("a descriptor that is there already");
    if (one.tokenBucket === undefined) field.at("tokenBucket").refuse("a descriptor needs a token_bucket");
    else buckets.set(key, compileBucket(one.tokenBucket, field.at("tokenBucket")));
  }
  return buckets;
}

function checkEntry(entry: RateLimitDescriptor_Entry, at: Field): void {
  if (entry.key === "") at.at("key").refuse("an entry needs a key");
  if (entry.value === "") at.at("value").refuse("an entry that takes every value is not built in");
}

function compileBucket(bucket: TokenBucket, at: Field): BucketConfig {
  const fillIntervalMs = durationMs(bucket.fillInterval) ?? 0;
  if (bucket.maxTokens === 0) at.at("maxTokens").refuse("a bucket holds at least one token");
  if (bucket.tokensPerFill === 0) at.at("tokensPerFill").refuse("a fill brings at least one token");
  if (fillIntervalMs < FILL_INTERVAL_MIN_MS) {
    at.at("fillInterval").refuse(`local rate limit token bucket fill timer must be >= ${FILL_INTERVAL_MIN_MS}ms`);
  }
  return { tokensMax: bucket.maxTokens, tokensPerFill: bucket.tokensPerFill ?? 1, fillIntervalMs };
}
