// The local rate limit: a request takes a token of each bucket that it falls under, or is answered 429.

import type { Clock } from "../../base/clock.ts";
import type { Registry, Scope } from "../../observe/metrics.ts";
import type { ResponseHead } from "../codec/head.ts";
import { HeaderList } from "../codec/headers.ts";
import { descriptorKey, type LocalRateLimitConfig } from "../compile/local-ratelimit.ts";
import { applyMutations } from "../compile/mutation.ts";
import type { RateLimitPolicy } from "../compile/rate-limit.ts";
import type { Exchange, Filter, Verdict } from "./filter.ts";
import { TokenBucket } from "./token-bucket.ts";

interface Stats {
  readonly enabled: { value: number };
  readonly enforced: { value: number };
  readonly limited: { value: number };
  readonly ok: { value: number };
}

/** The buckets of one configuration, or of one connection under it. */
interface Limiter {
  readonly all: TokenBucket | undefined;
  readonly byDescriptor: ReadonlyMap<string, TokenBucket>;
}

interface Outcome {
  readonly allowed: boolean;
  /** The bucket that the headers tell of. */
  readonly bucket: TokenBucket | undefined;
}

export function localRateLimitFilter(
  name: string,
  own: LocalRateLimitConfig,
  around: { readonly registry: Registry; readonly clock: Clock },
): Filter {
  return new LocalRateLimitFilter(name, own, around);
}

class LocalRateLimitFilter implements Filter {
  readonly #name: string;
  readonly #own: LocalRateLimitConfig;
  readonly #registry: Registry;
  readonly #clock: Clock;
  /** State lives as long as the configuration or connection that it is of. */
  readonly #limiters = new WeakMap<object, WeakMap<LocalRateLimitConfig, Limiter>>();
  readonly #stats = new WeakMap<LocalRateLimitConfig, Stats>();
  readonly #outcomes = new WeakMap<Exchange, TokenBucket>();

  constructor(name: string, own: LocalRateLimitConfig, around: { readonly registry: Registry; readonly clock: Clock }) {
    this.#name = name;
    this.#own = own;
    this.#registry = around.registry;
    this.#clock = around.clock;
  }

  onRequest(exchange: Exchange): Verdict {
    const config = this.#configOf(exchange);
    if (config === undefined || exchange.random() >= config.enabledShare) return undefined;
    const stats = this.#statsOf(config);
    stats.enabled.value += 1;
    const nowMs = this.#clock.monotonicMs();
    const outcome = decide(this.#limiterOf(config, exchange, nowMs), config, exchange, nowMs);
    if (config.rateLimitHeaders && outcome.bucket !== undefined) this.#outcomes.set(exchange, outcome.bucket);
    if (outcome.allowed) {
      stats.ok.value += 1;
      return undefined;
    }
    stats.limited.value += 1;
    if (exchange.random() >= config.enforcedShare) {
      applyMutations(config.requestMutations, exchange.head.headers, undefined, () => exchange.record());
      return undefined;
    }
    stats.enforced.value += 1;
    return denial(config, exchange, outcome, nowMs);
  }

  onResponse(exchange: Exchange, response: ResponseHead): void {
    const bucket = this.#outcomes.get(exchange);
    if (bucket === undefined) return;
    const nowMs = this.#clock.monotonicMs();
    const { headers } = response;
    headers.set("x-ratelimit-limit", String(bucket.config.tokensMax));
    headers.set("x-ratelimit-remaining", String(bucket.remaining(nowMs)));
    headers.set("x-ratelimit-reset", String(Math.ceil(bucket.waitMs(nowMs) / 1000)));
  }

  #configOf(exchange: Exchange): LocalRateLimitConfig | undefined {
    const override = exchange.override(this.#name);
    if (override === undefined) return this.#own;
    return override.kind === "local_ratelimit" ? override : undefined;
  }

  #limiterOf(config: LocalRateLimitConfig, exchange: Exchange, nowMs: number): Limiter {
    const owner = config.perConnection ? exchange.connection : this;
    let ofOwner = this.#limiters.get(owner);
    if (ofOwner === undefined) {
      ofOwner = new WeakMap();
      this.#limiters.set(owner, ofOwner);
    }
    let limiter = ofOwner.get(config);
    if (limiter === undefined) {
      limiter = {
        all: config.bucket === undefined ? undefined : new TokenBucket(config.bucket, nowMs),
        byDescriptor: new Map([...config.descriptors].map(([key, one]) => [key, new TokenBucket(one, nowMs)])),
      };
      ofOwner.set(config, limiter);
    }
    return limiter;
  }

  #statsOf(config: LocalRateLimitConfig): Stats {
    let stats = this.#stats.get(config);
    if (stats === undefined) {
      stats = makeStats(
        this.#registry.scope({
          statPrefix: `${config.statPrefix}.http_local_rate_limit.`,
          namePrefix: "envoy_http_local_rate_limit_",
          labels: { envoy_local_http_ratelimit_prefix: config.statPrefix },
        }),
      );
      this.#stats.set(config, stats);
    }
    return stats;
  }
}

function makeStats(scope: Scope): Stats {
  return {
    enabled: scope.counter("enabled"),
    enforced: scope.counter("enforced"),
    limited: scope.counter("rate_limited"),
    ok: scope.counter("ok"),
  };
}

function decide(limiter: Limiter, config: LocalRateLimitConfig, exchange: Exchange, nowMs: number): Outcome {
  const matched = config.descriptors.size === 0 ? NONE : matchedBuckets(limiter, config, exchange);
  for (const bucket of matched) if (!bucket.consume(nowMs)) return { allowed: false, bucket };
  if (matched.length > 0 && !config.alwaysDefault) return { allowed: true, bucket: matched[0] };
  if (limiter.all !== undefined && !limiter.all.consume(nowMs)) return { allowed: false, bucket: limiter.all };
  return { allowed: true, bucket: matched[0] ?? limiter.all };
}

const NONE: readonly TokenBucket[] = [];

/** The strictest first: where it has nothing left, the others keep their tokens. */
function matchedBuckets(limiter: Limiter, config: LocalRateLimitConfig, exchange: Exchange): readonly TokenBucket[] {
  const described = {
    head: exchange.head,
    remoteIp: exchange.remoteIp,
    routeCluster: exchange.routeCluster,
    metadata: (namespace: string) => exchange.subject.metadata(namespace),
    routeMetadata: (namespace: string) => exchange.subject.routeMetadata(namespace),
  };
  const buckets: TokenBucket[] = [];
  for (const policy of policiesFor(config, exchange)) {
    if (policy.stage !== config.stage) continue;
    const entries = policy.describe(described);
    const bucket = entries === undefined ? undefined : limiter.byDescriptor.get(descriptorKey(entries));
    if (bucket !== undefined && !buckets.includes(bucket)) buckets.push(bucket);
  }
  return buckets.sort((a, b) => a.fillsPerMs - b.fillsPerMs);
}

function policiesFor(config: LocalRateLimitConfig, exchange: Exchange): readonly RateLimitPolicy[] {
  if (config.policies !== undefined) return config.policies;
  const limits = exchange.route?.rateLimits;
  if (limits === undefined) return [];
  const withHost =
    limits.includeHost ||
    config.hostLimits === "include" ||
    (config.hostLimits === "override" && limits.route.length === 0);
  return withHost ? [...limits.route, ...limits.host] : limits.route;
}

function denial(config: LocalRateLimitConfig, exchange: Exchange, outcome: Outcome, nowMs: number): Verdict {
  const headers = new HeaderList(["content-type", "text/plain"]);
  if (config.retryAfterHeader && outcome.bucket !== undefined) {
    headers.add("retry-after", String(Math.ceil(outcome.bucket.waitMs(nowMs) / 1000)));
  }
  applyMutations(config.responseMutations, headers, undefined, () => exchange.record());
  return {
    kind: "reply",
    status: config.status,
    body: "local_rate_limited",
    details: "local_rate_limited",
    flag: "RL",
    headers: headers.raw,
    cause: `local rate limit ${config.statPrefix}`,
  };
}
