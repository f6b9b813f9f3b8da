// The small messages that every generated resource is put together from.

import { parseDurationMs } from "../api/istio/rules.ts";
import type { ResourceRef } from "../model/finding.ts";
import { formatRef } from "../model/finding.ts";
import { Address } from "../proto/gen/envoy/config/core/v3/address.ts";
import type { Metadata } from "../proto/gen/envoy/config/core/v3/base.ts";
import { Metadata as MetadataMessage } from "../proto/gen/envoy/config/core/v3/base.ts";
import { ApiVersion, ConfigSource } from "../proto/gen/envoy/config/core/v3/config_source.ts";
import { type FractionalPercent, FractionalPercent_DenominatorType } from "../proto/gen/envoy/type/v3/percent.ts";
import type { Any } from "../proto/gen/google/protobuf/any.ts";
import type { Duration } from "../proto/gen/google/protobuf/duration.ts";

interface Encoder<T> {
  encode(message: T): { finish(): Uint8Array };
}

/** `typeName` without the prefix: `envoy.extensions.filters.http.router.v3.Router`. */
export function any<T>(typeName: string, codec: Encoder<T>, message: T): Any {
  const bytes = codec.encode(message).finish();
  return {
    typeUrl: `type.googleapis.com/${typeName}`,
    value: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  };
}

export function durationOf(ms: number): Duration {
  const seconds = Math.floor(ms / 1_000);
  return { seconds, nanos: Math.round((ms - seconds * 1_000) * 1e6) };
}

/** Of Go's duration text that has passed the kind's checks. */
export function durationFromText(text: string): Duration {
  return durationOf(parseDurationMs(text) ?? 0);
}

export function socketAddress(address: string, port: number): Address {
  return Address.fromPartial({
    address: { $case: "socketAddress", value: { address, portSpecifier: { $case: "portValue", value: port } } },
  });
}

/** `unix:///path`, or `unix://@name` for a socket without a file. */
export function pipeAddress(url: string): Address {
  return Address.fromPartial({ address: { $case: "pipe", value: { path: url.slice("unix://".length) } } });
}

/** From the stream that this resource came by. */
export function adsSource(): ConfigSource {
  return ConfigSource.fromPartial({
    configSourceSpecifier: { $case: "ads", value: {} },
    initialFetchTimeout: { seconds: 0 },
    resourceApiVersion: ApiVersion.V3,
  });
}

export function percentOf(value: number): FractionalPercent {
  return { numerator: Math.round(value * 10_000), denominator: FractionalPercent_DenominatorType.MILLION };
}

export interface Cause {
  readonly resource?: string;
  readonly rule?: string;
  readonly unreachable?: string;
  readonly minRequestVolume?: number;
}

/** weft's own data beside Istio's: which resource a piece of configuration came from. */
export function metadataOf(cause: Cause, istio: Readonly<Record<string, unknown>> = {}): Metadata | undefined {
  const own = Object.fromEntries(Object.entries(cause).filter(([, value]) => value !== undefined));
  const filterMetadata: Record<string, Record<string, unknown>> = {};
  if (Object.keys(istio).length > 0) filterMetadata["istio"] = { ...istio };
  if (Object.keys(own).length > 0) filterMetadata["weft.dev"] = own;
  if (Object.keys(filterMetadata).length === 0) return undefined;
  return MetadataMessage.fromPartial({ filterMetadata });
}

const PATHS: Readonly<Record<string, string>> = {
  VirtualService: "networking.istio.io/v1/namespaces/NS/virtual-service",
  DestinationRule: "networking.istio.io/v1/namespaces/NS/destination-rule",
};

/** As Istio writes it into its own metadata, for tools that look there. */
export function istioConfigPath(ref: ResourceRef): string {
  return `/apis/${(PATHS[ref.kind] ?? "").replace("NS", ref.namespace)}/${ref.name}`;
}

export function resourceText(refs: readonly ResourceRef[]): string {
  return refs.map(formatRef).join(", ");
}
