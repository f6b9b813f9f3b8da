// The state-of-the-world variant: each response holds everything of its kind; the difference is made here.

import { createHash } from "node:crypto";
import type { Node } from "../../proto/gen/envoy/config/core/v3/base.ts";
import { DiscoveryRequest, DiscoveryResponse } from "../../proto/gen/envoy/service/discovery/v3/discovery.ts";
import { method } from "../../proto/grpc.ts";
import { decodeUpdate, isWildcard, KINDS, kindOf, TYPE_URLS } from "./decode.ts";
import { RESOURCES_MAX } from "./limits.ts";
import { NAME_TABLE_TYPE, type NameTableState } from "./name-table.ts";
import type { Changed, ResourceHandler, ResourceKind, ResourceRefusal, ResourceUpdate } from "./source.ts";
import { errorDetail, isNamed, type NamedKind, type Wire } from "./wire.ts";

export const SOTW_METHOD = method({
  path: "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
  kind: "bidi",
  request: DiscoveryRequest,
  response: DiscoveryResponse,
});

interface KindState {
  wanted: ReadonlySet<string>;
  /** The last version that was accepted. */
  version: string;
  nonce: string;
  asked: boolean;
  /** Digests of what was accepted, by name. */
  readonly held: Map<string, string>;
}

export function makeSotwWire(
  node: Node,
  wildcards: ReadonlySet<ResourceKind>,
  names?: NameTableState | undefined,
): Wire<DiscoveryRequest, DiscoveryResponse> {
  const states: Record<ResourceKind, KindState> = {
    cluster: emptyState(),
    endpoint: emptyState(),
    listener: emptyState(),
    route: emptyState(),
    secret: emptyState(),
  };
  const request = (kind: ResourceKind, fields: Partial<DiscoveryRequest> = {}) => {
    const state = states[kind];
    state.asked = true;
    return DiscoveryRequest.fromPartial({
      typeUrl: TYPE_URLS[kind],
      versionInfo: state.version,
      responseNonce: state.nonce,
      resourceNames: isNamed(kind) ? [...state.wanted] : [],
      ...fields,
    });
  };
  return {
    method: SOTW_METHOD,
    open() {
      for (const kind of KINDS) Object.assign(states[kind], { nonce: "", asked: false });
      const requests = KINDS.filter((kind) => {
        return isNamed(kind) ? states[kind].wanted.size > 0 : wildcards.has(kind);
      }).map((kind) => request(kind));
      if (names !== undefined) requests.push(DiscoveryRequest.fromPartial({ typeUrl: NAME_TABLE_TYPE }));
      const [hello] = requests;
      if (hello !== undefined) hello.node = node;
      return requests;
    },
    want(kind: NamedKind, names) {
      const state = states[kind];
      const same = names.size === state.wanted.size && [...names].every((name) => state.wanted.has(name));
      state.wanted = new Set(names);
      for (const name of state.held.keys()) if (!names.has(name)) state.held.delete(name);
      if (same || (names.size === 0 && !state.asked)) return undefined;
      return request(kind);
    },
    receive(response, handler) {
      const kind = kindOf(response.typeUrl);
      if (kind === undefined) return names === undefined ? undefined : takeNames(names, response);
      const state = states[kind];
      state.nonce = response.nonce;
      const refusals = apply(kind, { response, state }, handler);
      if (refusals.length === 0) state.version = response.versionInfo;
      return request(kind, { errorDetail: errorDetail(refusals) });
    },
  };
}

function takeNames(names: NameTableState, response: DiscoveryResponse): DiscoveryRequest | undefined {
  if (response.typeUrl !== NAME_TABLE_TYPE) return undefined;
  const message = names.take(response.resources[0]?.value, response.versionInfo);
  const refusals = message === undefined ? [] : [{ resource: "*", path: "", typeUrl: NAME_TABLE_TYPE, message }];
  return DiscoveryRequest.fromPartial({
    typeUrl: NAME_TABLE_TYPE,
    versionInfo: names.version,
    responseNonce: response.nonce,
    errorDetail: errorDetail(refusals),
  });
}

function emptyState(): KindState {
  return { wanted: new Set(), version: "", nonce: "", asked: false, held: new Map() };
}

interface Arrival {
  readonly response: DiscoveryResponse;
  readonly state: KindState;
}

function apply(kind: ResourceKind, arrival: Arrival, handler: ResourceHandler): readonly ResourceRefusal[] {
  const { response, state } = arrival;
  const typeUrl = TYPE_URLS[kind];
  if (response.resources.length > RESOURCES_MAX) {
    return [{ resource: "*", path: "", typeUrl, message: `more than ${RESOURCES_MAX} resources` }];
  }
  const version = response.versionInfo;
  const resources = response.resources.map((any) => ({ name: "", version, typeUrl: any.typeUrl, bytes: any.value }));
  const { update, refusals: undecodable } = decodeUpdate({ kind, version, resources, removed: [] });
  const digests = digestsOf(update, undecodable.length === 0 ? resources.map((resource) => resource.bytes) : []);
  const fresh = (changed: Changed<ResourceKind>) => {
    const digest = digests.get(changed.name);
    const wanted = isWildcard(kind) || state.wanted.has(changed.name);
    return wanted && (digest === undefined || state.held.get(changed.name) !== digest);
  };
  const present = new Set(update.changed.map((changed) => changed.name));
  const removed =
    isWildcard(kind) && undecodable.length === 0 ? [...state.held.keys()].filter((name) => !present.has(name)) : [];
  const difference = withChanges(update, fresh, removed);
  const refusals = [...undecodable];
  if (difference.changed.length > 0 || removed.length > 0) refusals.push(...handler.onUpdate(difference));
  const refused = new Set(refusals.map((refusal) => refusal.resource));
  for (const { name } of difference.changed) {
    const digest = digests.get(name);
    if (!refused.has(name) && digest !== undefined) state.held.set(name, digest);
  }
  for (const name of removed) state.held.delete(name);
  return refusals;
}

/** Empty when some resource could not be decoded: names and bytes then don't line up, and all count as changed. */
function digestsOf(update: ResourceUpdate, bytes: readonly Uint8Array[]): Map<string, string> {
  const digests = new Map<string, string>();
  for (const [index, changed] of update.changed.entries()) {
    const body = bytes[index];
    if (body !== undefined) digests.set(changed.name, createHash("sha256").update(body).digest("base64"));
  }
  return digests;
}

function withChanges(
  update: ResourceUpdate,
  fresh: (changed: Changed<ResourceKind>) => boolean,
  removed: readonly string[],
): ResourceUpdate {
  switch (update.kind) {
    case "cluster":
      return { ...update, changed: update.changed.filter(fresh), removed };
    case "endpoint":
      return { ...update, changed: update.changed.filter(fresh), removed };
    case "listener":
      return { ...update, changed: update.changed.filter(fresh), removed };
    case "route":
      return { ...update, changed: update.changed.filter(fresh), removed };
    case "secret":
      return { ...update, changed: update.changed.filter(fresh), removed };
  }
}
