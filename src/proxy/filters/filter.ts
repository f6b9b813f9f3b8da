// What every HTTP filter is: a look at the request that lets it pass, holds it, or answers it; and a look at the response.

import type { RequestHead, ResponseHead } from "../codec/head.ts";
import type { FilterOverride } from "../compile/http-filter.ts";
import type { Subject } from "../compile/rbac.ts";

/** What a filter sees of a request. */
export interface Exchange {
  readonly head: RequestHead;
  readonly subject: Subject;
  readonly routeCluster: string;
  override(filterName: string): FilterOverride | undefined;
  random(): number;
  setApplicationProtocols(protocols: readonly string[]): void;
  addFlag(flag: string): void;
  /** Runs once when the exchange is over. */
  onDone(run: () => void): void;
}

export interface Reply {
  readonly kind: "reply";
  readonly status: number;
  readonly body: string;
  readonly details: string;
  readonly flag: string;
  /** Name, value, name, value, … */
  readonly headers: readonly string[];
  /** The resource and rule behind it, where the filter knows. */
  readonly cause: string;
}

/** Undefined: go on. */
export type Verdict =
  | undefined
  | Reply
  | { readonly kind: "delay"; readonly ms: number; readonly after: () => Verdict };

export interface Filter {
  onRequest(exchange: Exchange): Verdict;
  onResponse(exchange: Exchange, response: ResponseHead): void;
}
