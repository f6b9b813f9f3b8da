// One request's tokens against what is required: at once where they are known, otherwise when keys and signatures are.

import type { Clock } from "../../base/clock.ts";
import type { KeySet } from "../compile/jwks.ts";
import type { JwtProviderConfig, Requirement } from "../compile/jwt.ts";
import { plainAudience } from "../compile/jwt.ts";
import type { Exchange } from "./filter.ts";
import type { JwtStats, ProviderState } from "./jwt.ts";
import { applyToken } from "./jwt-claims.ts";
import { type FoundToken, findTokens, JWT, readToken, type Token } from "./jwt-token.ts";
import { verifySignature } from "./jwt-verify.ts";

const METADATA = "envoy.filters.http.jwt_authn";

interface Around {
  readonly clock: Clock;
  readonly states: ReadonlyMap<JwtProviderConfig, ProviderState>;
  readonly stats: JwtStats;
}

/** Undefined: all is well. Otherwise the words of what is wrong. */
type Done = (status: string | undefined) => void;

interface Search {
  readonly tokens: readonly FoundToken[];
  readonly audiences: ReadonlySet<string> | undefined;
  readonly lenient: "none" | "missing" | "failed";
}

export class JwtRun {
  /** What was found is a reason to choose the route again. */
  clearsRoute = false;
  readonly #exchange: Exchange;
  readonly #around: Around;
  #cancelled = false;
  #giveUp: (() => void) | undefined;

  constructor(exchange: Exchange, around: Around) {
    this.#exchange = exchange;
    this.#around = around;
  }

  cancel(): void {
    this.#cancelled = true;
    this.#giveUp?.();
  }

  verify(requirement: Requirement, done: Done): void {
    switch (requirement.kind) {
      case "provider":
        this.#search([requirement.provider], { audiences: requirement.audiences, lenient: "none" }, done);
        return;
      case "any":
        this.#any(requirement.requirements, 0, JWT.missing, done);
        return;
      case "all":
        this.#all(requirement.requirements, 0, done);
        return;
      case "allow-missing":
        this.#search(requirement.providers, { audiences: undefined, lenient: "missing" }, done);
        return;
      case "allow-failed":
        this.#search(requirement.providers, { audiences: undefined, lenient: "failed" }, done);
    }
  }

  /** Where all fail, a token that is bad says more than somebody else's, and that more than none. */
  #any(list: readonly Requirement[], at: number, worst: string, done: Done): void {
    const one = list[at];
    if (one === undefined) {
      done(worst);
      return;
    }
    this.verify(one, (status) => {
      if (status === undefined) done(undefined);
      else this.#any(list, at + 1, weight(status) < weight(worst) ? worst : status, done);
    });
  }

  #all(list: readonly Requirement[], at: number, done: Done): void {
    const one = list[at];
    if (one === undefined) {
      done(undefined);
      return;
    }
    this.verify(one, (status) => {
      if (status === undefined) this.#all(list, at + 1, done);
      else done(status);
    });
  }

  #search(providers: readonly JwtProviderConfig[], how: Omit<Search, "tokens">, done: Done): void {
    const { head } = this.#exchange;
    // Headers that only a verified token may set.
    for (const { payloadHeader, claimHeaders } of providers) {
      if (payloadHeader !== "") head.headers.remove(payloadHeader);
      for (const { header } of claimHeaders) head.headers.remove(header);
    }
    const tokens = findTokens(head, providers);
    if (tokens.length === 0) done(how.lenient === "none" ? JWT.missing : undefined);
    else this.#next({ ...how, tokens }, tokens.length - 1, done);
  }

  /** All of them must be good, the last one found first. */
  #next(search: Search, at: number, done: Done): void {
    const found = search.tokens[at];
    if (found === undefined) {
      done(undefined);
      return;
    }
    this.#one(found, search, (status) => {
      if (status !== undefined && search.lenient !== "failed") done(status);
      else this.#next(search, at - 1, done);
    });
  }

  #one(found: FoundToken, search: Search, done: Done): void {
    const known = this.#known(found, search);
    if (typeof known === "string") {
      this.#noteFailure(found.providers[0], known);
      done(known);
      return;
    }
    const { provider, token, verified } = known;
    const problem = this.#claimsProblem(token, provider, search.audiences);
    const state = this.#around.states.get(provider);
    const finish = (status: string | undefined) => {
      if (this.#cancelled) return;
      if (status === undefined) this.#accept(token, provider, found);
      else this.#noteFailure(provider, status);
      done(status);
    };
    if (problem !== undefined || state === undefined || verified) finish(problem);
    else this.#withKeys(state, token, finish);
  }

  /** The token read, and whether its signature is known to be good. */
  #known(
    found: FoundToken,
    search: Search,
  ): { readonly provider: JwtProviderConfig; readonly token: Token; readonly verified: boolean } | string {
    for (const provider of found.providers) {
      const state = this.#around.states.get(provider);
      const token = state?.cache.get(found.text, state.keys.current);
      if (token === undefined) continue;
      if (provider.countsCache) this.#around.stats.cacheHit.inc();
      return { provider, token, verified: true };
    }
    if (found.providers[0]?.countsCache === true) this.#around.stats.cacheMiss.inc();
    const read = readToken(found.text);
    if (!read.ok) return read.error;
    const token = read.value;
    const provider =
      search.lenient === "none"
        ? found.providers.find(({ issuer }) => issuer === "" || issuer === token.issuer)
        : found.providers.find(({ issuer }) => issuer === token.issuer);
    return provider === undefined ? JWT.unknownIssuer : { provider, token, verified: false };
  }

  #claimsProblem(
    token: Token,
    provider: JwtProviderConfig,
    audiences: ReadonlySet<string> | undefined,
  ): string | undefined {
    const nowS = Math.floor(this.#around.clock.wallMs() / 1000);
    if (provider.subjects !== undefined && !provider.subjects(token.subject)) return JWT.failed;
    const { expires, notBefore } = token;
    if (expires === undefined && (provider.requireExpiration || provider.maxLifetimeS !== undefined)) return JWT.failed;
    if (provider.maxLifetimeS !== undefined && (expires ?? 0) - nowS > provider.maxLifetimeS) return JWT.failed;
    if (notBefore !== undefined && notBefore > nowS + provider.clockSkewS) return JWT.notYet;
    if (expires !== undefined && nowS > expires + provider.clockSkewS) return JWT.expired;
    const wanted = audiences ?? provider.audiences;
    if (wanted.size > 0 && !token.audiences.some((one) => wanted.has(plainAudience(one)))) return JWT.audience;
    return undefined;
  }

  #withKeys(state: ProviderState, token: Token, done: Done): void {
    const set = state.keys.current;
    if (set !== undefined) this.#withSet(state, token, set, done);
    else {
      this.#giveUp = state.keys.wait((fetched) => {
        this.#giveUp = undefined;
        if (fetched === undefined) done(JWT.keysFetch);
        else this.#withSet(state, token, fetched, done);
      });
    }
  }

  #withSet(state: ProviderState, token: Token, set: KeySet, done: Done): void {
    void verifySignature(token, set).then((status) => {
      if (status === undefined) state.cache.add(token, set);
      done(status);
    });
  }

  #accept(token: Token, provider: JwtProviderConfig, found: FoundToken): void {
    const { headers } = this.#exchange.head;
    const claims = applyToken(token, provider, headers);
    if (!provider.forward && found.header !== undefined) headers.remove(found.header);
    if (claims.metadata !== undefined) this.#exchange.setDynamicMetadata(METADATA, claims.metadata);
    if (provider.clearRoute && (claims.addedHeader || provider.payloadKey !== "")) this.clearsRoute = true;
  }

  #noteFailure(provider: JwtProviderConfig | undefined, message: string): void {
    const key = provider?.failedStatusKey ?? "";
    if (key !== "") this.#exchange.setDynamicMetadata(METADATA, { [key]: { message } });
  }
}

function weight(status: string): number {
  return status === JWT.missing ? 0 : status === JWT.unknownIssuer ? 1 : 2;
}
