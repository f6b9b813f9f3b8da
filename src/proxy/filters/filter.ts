// What every HTTP filter is: a look at the request that lets it pass, holds it, or answers it; and a look at the response.

import type { AccessRecord } from "../../observe/access-record.ts";
import type { RequestHead, ResponseHead } from "../codec/head.ts";
import type { HeaderList } from "../codec/headers.ts";
import type { FilterOverride } from "../compile/http-filter.ts";
import type { RouteInput } from "../compile/match.ts";
import type { Subject } from "../compile/rbac.ts";
import type { RouteEntry } from "../compile/route.ts";

/** A protobuf struct: plain data by name. */
export type Struct = Readonly<Record<string, unknown>>;

/** Who calls, and whom the caller reached. */
export interface ClientInfo {
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly serverName: string;
  readonly principals: readonly string[];
  readonly localUri: string | undefined;
  readonly peer: { readonly certificate: { toString(): string } } | undefined;
}

/** What a filter sees of a request. */
export interface Exchange {
  readonly head: RequestHead;
  readonly subject: Subject;
  readonly route: RouteEntry | undefined;
  readonly routeCluster: string;
  /** The client's address, as far as it can be trusted. */
  readonly remoteIp: string;
  readonly client: ClientInfo;
  /** What it came by: the same object for all requests of one connection. */
  readonly connection: object;
  override(filterName: string): FilterOverride | undefined;
  random(): number;
  setApplicationProtocols(protocols: readonly string[]): void;
  addFlag(flag: string): void;
  /** Adds to what is there under the namespace; a key that is there already is replaced. */
  setDynamicMetadata(namespace: string, fields: Struct): void;
  /** What a route is chosen by, as the request is now. */
  routeInput(): RouteInput;
  /** Chooses the route anew. */
  clearRoute(): void;
  /** As the access log will tell it, so far. Made anew at each call. */
  record(): AccessRecord;
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
  /** What somebody outside the mesh is told of it, where not all. */
  readonly publicCause?: string;
}

/** Undefined: go on. */
export type Verdict =
  | undefined
  | Reply
  | { readonly kind: "delay"; readonly ms: number; readonly after: () => Verdict }
  | Wait
  | WantBody;

/** Until something elsewhere is done. Whoever waits bounds the time. */
export interface Wait {
  readonly kind: "wait";
  /** Returns what gives it up: the client left. */
  start(resume: (after: Verdict) => void): () => void;
}

/** Until the body is there, or as much of it as is wanted. */
export interface WantBody {
  readonly kind: "body";
  readonly bytesMax: number;
  /** The first bytes will do; otherwise a longer body is answered 413. */
  readonly partial: boolean;
  onBody(body: Buffer, isComplete: boolean): Verdict;
}

export interface Filter {
  onRequest(exchange: Exchange): Verdict;
  onResponse(exchange: Exchange, response: ResponseHead): void;
  /** Only where the message has trailers. */
  onRequestTrailers?(exchange: Exchange, trailers: HeaderList): void;
  onResponseTrailers?(exchange: Exchange, trailers: HeaderList): void;
  /** Nothing will come any more: what goes on beside requests ends. */
  close?(): void;
}
