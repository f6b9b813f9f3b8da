// The incremental variant: names come and go one by one, and a new stream tells which versions are already here.

import type { Node } from "../../proto/gen/envoy/config/core/v3/base.ts";
import {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
  type Resource,
} from "../../proto/gen/envoy/service/discovery/v3/discovery.ts";
import { method } from "../../proto/grpc.ts";
import { decodeUpdate, KINDS, kindOf, type RawResource, TYPE_URLS } from "./decode.ts";
import { RESOURCES_MAX } from "./limits.ts";
import { NAME_TABLE_TYPE, type NameTableState } from "./name-table.ts";
import type { ResourceHandler, ResourceKind, ResourceRefusal } from "./source.ts";
import { errorDetail, isNamed, type NamedKind, type Wire } from "./wire.ts";

type DeltaWire = Wire<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

export const DELTA_METHOD = method({
  path: "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
  kind: "bidi",
  request: DeltaDiscoveryRequest,
  response: DeltaDiscoveryResponse,
});

export function makeDeltaWire(
  node: Node,
  wildcards: ReadonlySet<ResourceKind>,
  names?: NameTableState | undefined,
): DeltaWire {
  const wanted: Record<NamedKind, ReadonlySet<string>> = { endpoint: new Set(), route: new Set(), secret: new Set() };
  const held: Record<ResourceKind, Map<string, string>> = {
    cluster: new Map(),
    endpoint: new Map(),
    listener: new Map(),
    route: new Map(),
    secret: new Map(),
  };
  /** Kinds that were asked for on this stream: the first request for a kind is special. */
  let asked = new Set<ResourceKind>();
  const request = (kind: ResourceKind, fields: Partial<DeltaDiscoveryRequest>) =>
    DeltaDiscoveryRequest.fromPartial({ typeUrl: TYPE_URLS[kind], ...fields });
  const first = (kind: ResourceKind) => {
    asked.add(kind);
    return request(kind, {
      initialResourceVersions: Object.fromEntries(held[kind]),
      resourceNamesSubscribe: isNamed(kind) ? [...wanted[kind]] : [],
    });
  };
  return {
    method: DELTA_METHOD,
    open() {
      asked = new Set();
      const requests = KINDS.filter((kind) => (isNamed(kind) ? wanted[kind].size > 0 : wildcards.has(kind))).map(first);
      if (names !== undefined) requests.push(firstNames(names));
      const [hello] = requests;
      if (hello !== undefined) hello.node = node;
      return requests;
    },
    want(kind, names) {
      const before = wanted[kind];
      wanted[kind] = new Set(names);
      const removed = [...before].filter((name) => !names.has(name));
      for (const name of removed) held[kind].delete(name);
      if (!asked.has(kind)) return names.size === 0 ? undefined : first(kind);
      const added = [...names].filter((name) => !before.has(name));
      if (added.length === 0 && removed.length === 0) return undefined;
      return request(kind, { resourceNamesSubscribe: added, resourceNamesUnsubscribe: removed });
    },
    receive(response, handler) {
      const kind = kindOf(response.typeUrl);
      if (kind === undefined) return names === undefined ? undefined : takeNames(names, response);
      const scope = isNamed(kind) ? wanted[kind] : undefined;
      const refusals = apply({ kind, response, held: held[kind], wanted: scope }, handler);
      return request(kind, { responseNonce: response.nonce, errorDetail: errorDetail(refusals) });
    },
  };
}

/** The server has no name for it. */
const TABLE = "";

function firstNames({ version }: NameTableState): DeltaDiscoveryRequest {
  const initialResourceVersions = version === "" ? {} : { [TABLE]: version };
  return DeltaDiscoveryRequest.fromPartial({ typeUrl: NAME_TABLE_TYPE, initialResourceVersions });
}

function takeNames(names: NameTableState, response: DeltaDiscoveryResponse): DeltaDiscoveryRequest | undefined {
  if (response.typeUrl !== NAME_TABLE_TYPE) return undefined;
  const [table] = response.resources;
  const refused = names.take(table?.resource?.value, table?.version ?? "");
  const refusals = refused === undefined ? [] : [refusal(NAME_TABLE_TYPE, refused)];
  return DeltaDiscoveryRequest.fromPartial({
    typeUrl: NAME_TABLE_TYPE,
    responseNonce: response.nonce,
    errorDetail: errorDetail(refusals),
  });
}

interface Arrival {
  readonly kind: ResourceKind;
  readonly response: DeltaDiscoveryResponse;
  readonly held: Map<string, string>;
  /** Undefined: all of the kind. */
  readonly wanted: ReadonlySet<string> | undefined;
}

function apply(arrival: Arrival, handler: ResourceHandler): readonly ResourceRefusal[] {
  const { kind, response, held, wanted } = arrival;
  // A name may have been given up while its resource was under way.
  const resources = response.resources.flatMap(toRaw).filter(({ name }) => wanted === undefined || wanted.has(name));
  if (held.size + resources.length > RESOURCES_MAX) return [tooMany(kind)];
  const removed = response.removedResources;
  const decoded = decodeUpdate({ kind, version: response.systemVersionInfo, resources, removed });
  const refusals = [...decoded.refusals, ...handler.onUpdate(decoded.update)];
  const refused = new Set(refusals.map((refusal) => refusal.resource));
  // A refused version is not held, so that a later stream gets it again.
  for (const { name, version } of resources) if (!refused.has(name)) held.set(name, version);
  for (const name of removed) held.delete(name);
  return refusals;
}

/** A resource without a body only says that it is still alive. */
function toRaw(resource: Resource): readonly RawResource[] {
  if (resource.resource === undefined) return [];
  const { typeUrl, value } = resource.resource;
  return [{ name: resource.name, version: resource.version, typeUrl, bytes: value }];
}

function tooMany(kind: ResourceKind): ResourceRefusal {
  const message = `more than ${RESOURCES_MAX} resources: the update was left out`;
  return refusal(TYPE_URLS[kind], message);
}

function refusal(typeUrl: string, message: string): ResourceRefusal {
  return { resource: "*", path: "", typeUrl, message };
}
