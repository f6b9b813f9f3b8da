// Responses put together from bytes that many streams have in common: what changed is encoded once, whoever gets it.

import { DeltaDiscoveryResponse, DiscoveryResponse } from "../proto/gen/envoy/service/discovery/v3/discovery.ts";
import { toBuffer } from "../proto/grpc.ts";
import { type EncodedResource, type ResourceType, TYPE_URLS } from "./resource.ts";
import type { Change } from "./resource-list.ts";
import type { StateOfType } from "./session.ts";

/** An encoded response in pieces. */
export interface Response {
  readonly pieces: readonly Uint8Array[];
  readonly bytes: number;
}

interface Envelope {
  readonly type: ResourceType;
  readonly version: string;
  readonly nonce: string;
}

const CONTROL_PLANE = { identifier: "weft" };

export function deltaResponse({ type, version, nonce }: Envelope, parts: readonly Change[]): Response {
  const envelope = { systemVersionInfo: version, typeUrl: TYPE_URLS[type], nonce, controlPlane: CONTROL_PLANE };
  const head = DeltaDiscoveryResponse.encode(DeltaDiscoveryResponse.fromPartial(envelope)).finish();
  return responseOf([head, ...parts.map(deltaBytes)]);
}

export function stateResponse(
  { type, nonce }: Omit<Envelope, "version">,
  { version, all }: StateOfType,
  parts: readonly Change[],
): Response {
  const envelope = { versionInfo: version, typeUrl: TYPE_URLS[type], nonce, controlPlane: CONTROL_PLANE };
  const head = DiscoveryResponse.encode(DiscoveryResponse.fromPartial(envelope)).finish();
  return responseOf([head, ...(all === undefined ? parts.map(stateBytes) : [encodeAll(all)])]);
}

function responseOf(pieces: readonly Uint8Array[]): Response {
  return { pieces, bytes: pieces.reduce((sum, { length }) => sum + length, 0) };
}

/** For the codec of gRPC: messages of protobuf are joined by joining their bytes. */
export function joined({ pieces, bytes }: Response): Buffer {
  const [only] = pieces;
  return pieces.length === 1 && only !== undefined ? toBuffer(only) : Buffer.concat(pieces, bytes);
}

const byDelta = new WeakMap<Change, Uint8Array>();
const byState = new WeakMap<Change, Uint8Array>();

function deltaBytes(change: Change): Uint8Array {
  const known = byDelta.get(change);
  if (known !== undefined) return known;
  const resources = change.changed.map(({ name, version, any }) => ({ name, version, resource: any }));
  const message = DeltaDiscoveryResponse.fromPartial({ removedResources: [...change.removed] });
  const bytes = Buffer.concat([
    DeltaDiscoveryResponse.encode(message).finish(),
    ...inSlices(resources).map((slice) => {
      return DeltaDiscoveryResponse.encode(DeltaDiscoveryResponse.fromPartial({ resources: slice })).finish();
    }),
  ]);
  byDelta.set(change, bytes);
  return bytes;
}

function stateBytes(change: Change): Uint8Array {
  const known = byState.get(change);
  if (known !== undefined) return known;
  const bytes = encodeAll(change.changed);
  byState.set(change, bytes);
  return bytes;
}

function encodeAll(resources: readonly EncodedResource[]): Uint8Array {
  return Buffer.concat(
    inSlices(resources).map((slice) => {
      const message = DiscoveryResponse.fromPartial({ resources: slice.map(({ any }) => any) });
      return DiscoveryResponse.encode(message).finish();
    }),
  );
}

/** The encoder's buffer doubles as it grows: small ones cost less. */
const SLICE = 32;

function inSlices<T>(list: readonly T[]): readonly T[][] {
  return Array.from({ length: Math.ceil(list.length / SLICE) }, (_, i) => list.slice(i * SLICE, (i + 1) * SLICE));
}
