// JWT authentication: tokens are found, verified and remembered; their claims go on as headers and metadata.

import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { Counter, Scope } from "../../observe/metrics.ts";
import type { RequestHead } from "../codec/head.ts";
import type { JwtConfig, JwtProviderConfig, Requirement } from "../compile/jwt.ts";
import type { Caller } from "./caller.ts";
import type { Exchange, Filter, Reply, Verdict } from "./filter.ts";
import { KeyStore } from "./jwks.ts";
import { TokenCache } from "./jwt-cache.ts";
import { JwtRun } from "./jwt-run.ts";
import { JWT } from "./jwt-token.ts";

export interface JwtAround {
  readonly clock: Clock;
  readonly random: Random;
  readonly scope: Scope;
  readonly caller: Caller;
}

/** What a provider has at run time. */
export interface ProviderState {
  readonly keys: KeyStore;
  readonly cache: TokenCache;
}

export interface JwtStats {
  readonly allowed: Counter;
  readonly denied: Counter;
  readonly preflightBypassed: Counter;
  readonly fetchSuccess: Counter;
  readonly fetchFailed: Counter;
  readonly cacheHit: Counter;
  readonly cacheMiss: Counter;
}

function makeStats(scope: Scope, prefix: string): JwtStats {
  const dotted = prefix === "" || prefix.endsWith(".") ? prefix : `${prefix}.`;
  const counter = (name: string) => scope.counter(`jwt_authn.${dotted}${name}`);
  return {
    allowed: counter("allowed"),
    denied: counter("denied"),
    preflightBypassed: counter("cors_preflight_bypassed"),
    fetchSuccess: counter("jwks_fetch_success"),
    fetchFailed: counter("jwks_fetch_failed"),
    cacheHit: counter("jwt_cache_hit"),
    cacheMiss: counter("jwt_cache_miss"),
  };
}

export function jwtFilter(name: string, config: JwtConfig, around: JwtAround): Filter {
  return new JwtFilter(name, config, around);
}

class JwtFilter implements Filter {
  readonly #name: string;
  readonly #config: JwtConfig;
  readonly #around: JwtAround;
  readonly #stats: JwtStats;
  readonly #states: ReadonlyMap<JwtProviderConfig, ProviderState>;

  constructor(name: string, config: JwtConfig, around: JwtAround) {
    this.#name = name;
    this.#config = config;
    this.#around = around;
    const stats = makeStats(around.scope, config.statPrefix);
    this.#stats = stats;
    const keysAround = {
      ...around,
      onFetched: (outcome: "success" | "failed") => {
        if (outcome === "success") stats.fetchSuccess.inc();
        else stats.fetchFailed.inc();
      },
    };
    this.#states = new Map(
      config.providers.map((one) => [one, { keys: new KeyStore(one.keys, keysAround), cache: new TokenCache(one) }]),
    );
  }

  onRequest(exchange: Exchange): Verdict {
    const { head } = exchange;
    if (this.#config.bypassCorsPreflight && isPreflight(head)) {
      this.#stats.preflightBypassed.inc();
      return undefined;
    }
    const override = exchange.override(this.#name);
    if (override?.kind === "disabled") return undefined;
    if (override?.kind !== "jwt_route") return this.#require(this.#ruleFor(exchange), exchange);
    const requirement = this.#config.named.get(override.requirement);
    if (requirement !== undefined) return this.#require(requirement, exchange);
    this.#stats.denied.inc();
    return this.#wrongRequirement(override.requirement);
  }

  onResponse(): void {
    // Tokens come with requests.
  }

  close(): void {
    for (const { keys } of this.#states.values()) keys.close();
  }

  #ruleFor(exchange: Exchange): Requirement | undefined {
    const { rules } = this.#config;
    if (rules.length === 0) return undefined;
    const input = exchange.routeInput();
    return rules.find((rule) => rule.predicates.every((matches) => matches(input)))?.requirement;
  }

  #require(requirement: Requirement | undefined, exchange: Exchange): Verdict {
    if (requirement === undefined) {
      this.#stats.allowed.inc();
      return undefined;
    }
    const run = new JwtRun(exchange, { clock: this.#around.clock, states: this.#states, stats: this.#stats });
    let answer: { readonly status: string | undefined } | undefined;
    let resume: ((after: Verdict) => void) | undefined;
    run.verify(requirement, (status) => {
      answer = { status };
      resume?.(this.#conclude(run, status, exchange));
    });
    if (answer !== undefined) return this.#conclude(run, answer.status, exchange);
    return {
      kind: "wait",
      start(onward) {
        resume = onward;
        return () => run.cancel();
      },
    };
  }

  #conclude(run: JwtRun, status: string | undefined, exchange: Exchange): Verdict {
    if (status === undefined) {
      this.#stats.allowed.inc();
      if (run.clearsRoute) exchange.clearRoute();
      return undefined;
    }
    this.#stats.denied.inc();
    return this.#denial(status, exchange.head);
  }

  #denial(problem: string, head: RequestHead): Reply {
    const status = problem === JWT.audience ? 403 : 401;
    const details = `jwt_authn_access_denied{${problem.replaceAll(/\s/g, "_")}}`;
    const cause = `RequestAuthentication: ${problem}`;
    const plain = { kind: "reply", status, details, flag: "", cause } as const;
    if (this.#config.stripFailureResponse) return { ...plain, body: "", headers: [] };
    const headers = ["content-type", "text/plain"];
    const error = problem === JWT.missing ? "" : ', error="invalid_token"';
    headers.push("www-authenticate", `Bearer realm="${realmOf(head)}"${error}`);
    return { ...plain, body: problem, headers };
  }

  #wrongRequirement(name: string): Reply {
    const problem = `Wrong requirement_name: ${name}. It should be one of [${[...this.#config.named.keys()].join(",")}]`;
    return {
      kind: "reply",
      status: 403,
      body: `Failed JWT authentication: ${problem}`,
      details: `jwt_authn_access_denied{${problem.replaceAll(/\s/g, "_")}}`,
      flag: "",
      headers: ["content-type", "text/plain"],
      cause: problem,
    };
  }
}

function isPreflight(head: RequestHead): boolean {
  return (
    head.method === "OPTIONS" &&
    (head.headers.get("origin") ?? "") !== "" &&
    (head.headers.get("access-control-request-method") ?? "") !== ""
  );
}

/** Characters of a URI beyond this are cut off, as Envoy does. */
const REALM_CHARS_MAX = 256;

function realmOf(head: RequestHead): string {
  return `${head.scheme}://${head.authority}${head.path}`.slice(0, REALM_CHARS_MAX).replaceAll(/["\\]/g, "");
}
