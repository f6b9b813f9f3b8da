// What all connections of one HTTP connection manager share: configuration, the current routes, filters with their counters, and the way upstream.

import type { Clock } from "../../base/clock.ts";
import type { Deadlines } from "../../base/deadlines.ts";
import type { Random } from "../../base/random.ts";
import type { Registry } from "../../observe/metrics.ts";
import type { HttpConfig } from "../compile/http.ts";
import type { NamedFilter } from "../compile/http-filter.ts";
import type { RouteEntry, RouteTable } from "../compile/route.ts";
import type { Caller } from "../filters/caller.ts";
import { corsFilter } from "../filters/cors.ts";
import { extAuthzFilter } from "../filters/ext-authz.ts";
import { faultFilter } from "../filters/fault.ts";
import type { Filter } from "../filters/filter.ts";
import { headerMutationFilter } from "../filters/header-mutation.ts";
import { jwtFilter } from "../filters/jwt.ts";
import { localRateLimitFilter } from "../filters/local-ratelimit.ts";
import { rbacFilter } from "../filters/rbac.ts";
import { setFilterStateFilter } from "../filters/set-filter-state.ts";
import { ROUTE_STATS_MAX } from "../limits.ts";
import type { Cluster } from "../upstream/cluster.ts";
import type { AccessLogWriter } from "./access-log.ts";
import { ClusterCaller } from "./call.ts";
import type { Drain } from "./drain.ts";
import type { IstioReporter, IstioStats } from "./istio-stats.ts";
import type { Overload } from "./overload.ts";
import type { RecentLog } from "./recent.ts";
import { RouteStats } from "./route-stats.ts";
import type { SpanExporters } from "./span-exporters.ts";
import { HttpStats } from "./stats.ts";
import { Tracer } from "./tracer.ts";

/** What the composition root gives to everything that serves connections. */
export interface Core {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly random: Random;
  readonly registry: Registry;
  readonly logs: AccessLogWriter;
  readonly recent: RecentLog;
  readonly showCause: boolean;
  readonly spans: SpanExporters;
  readonly overload: Overload;
  /** Undefined outside a mesh: nobody knows who calls whom. */
  readonly istio: IstioStats | undefined;
  cluster(name: string): Cluster | undefined;
  routes(name: string): RouteTable | undefined;
}

export class HttpRuntime {
  readonly config: HttpConfig;
  readonly core: Core;
  readonly stats: HttpStats;
  readonly filters: readonly Filter[];
  readonly direction: "inbound" | "outbound" | "unspecified";
  readonly tracer: Tracer | undefined;
  readonly istio: IstioReporter | undefined;
  readonly #routeStats = new Map<string, RouteStats>();
  /** Set while the listener drains. */
  drain: Drain | undefined;

  constructor(config: HttpConfig, core: Core, direction: HttpRuntime["direction"]) {
    this.config = config;
    this.core = core;
    this.direction = direction;
    this.stats = new HttpStats(core.registry, config.statPrefix);
    this.istio = core.istio?.reporter(direction);
    const at = { isEgress: direction === "outbound", scope: this.stats.scope };
    this.tracer = config.tracing === undefined ? undefined : new Tracer(config.tracing, core, at);
    this.filters = config.filters.filter((one) => !one.disabled).flatMap((one) => this.#make(one));
  }

  close(): void {
    for (const filter of this.filters) filter.close?.();
    this.tracer?.close();
  }

  routes(): RouteTable | undefined {
    const { routes } = this.config;
    return routes.kind === "inline" ? routes.table : this.core.routes(routes.name);
  }

  routeStats(route: RouteEntry): RouteStats {
    const key = `${route.virtualHost.name} ${route.statPrefix}`;
    let found = this.#routeStats.get(key);
    if (found === undefined) {
      found = new RouteStats(this.core.registry, route.virtualHost.name, route.statPrefix);
      if (this.#routeStats.size < ROUTE_STATS_MAX) this.#routeStats.set(key, found);
    }
    return found;
  }

  /** What a filter needs that asks others. */
  #beside(): { readonly clock: Clock; readonly random: Random; readonly caller: Caller } {
    const { clock, random } = this.core;
    return { clock, random, caller: new ClusterCaller(this.core) };
  }

  /** The router ends the list and is the stream itself. */
  #make(filter: NamedFilter): readonly Filter[] {
    const { config, name } = filter;
    switch (config.kind) {
      case "rbac":
        return [rbacFilter(name, config, this.stats.scope)];
      case "fault":
        return [faultFilter(name, config, this.stats.scope)];
      case "cors":
        return [corsFilter(name, config, this.stats.scope)];
      case "header_mutation":
        return [headerMutationFilter(name, config)];
      case "ext_authz":
        return [extAuthzFilter(name, config, { ...this.#beside(), scope: this.stats.scope })];
      case "jwt_authn":
        return [jwtFilter(name, config, { ...this.#beside(), scope: this.stats.scope })];
      case "local_ratelimit":
        return [localRateLimitFilter(name, config, this.core)];
      case "set_filter_state":
        return [setFilterStateFilter(config)];
      case "dynamic_forward_proxy":
        // Its clusters do it.
        return [];
      case "router":
        return [];
    }
  }
}
