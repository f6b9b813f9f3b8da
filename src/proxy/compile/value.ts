// Small protobuf values: durations, data sources, percentages, addresses, ranges.

import { BlockList, isIP } from "node:net";
import type { Address, CidrRange } from "../../proto/gen/envoy/config/core/v3/address.ts";
import type { DataSource, Metadata, RuntimeFractionalPercent } from "../../proto/gen/envoy/config/core/v3/base.ts";
import { type FractionalPercent, FractionalPercent_DenominatorType } from "../../proto/gen/envoy/type/v3/percent.ts";
import type { Duration } from "../../proto/gen/google/protobuf/duration.ts";
import type { Field } from "./field.ts";
import { clamp } from "./runtime.ts";

export function durationMs(duration: Duration | undefined): number | undefined {
  return duration === undefined ? undefined : duration.seconds * 1000 + duration.nanos / 1e6;
}

/** Between 0 and 1. */
export function fraction(percent: FractionalPercent | undefined): number {
  return percent === undefined ? 0 : percent.numerator / denominator(percent);
}

export function denominator(percent: FractionalPercent | undefined): number {
  switch (percent?.denominator) {
    case FractionalPercent_DenominatorType.TEN_THOUSAND:
      return 10_000;
    case FractionalPercent_DenominatorType.MILLION:
      return 1_000_000;
    default:
      return 100;
  }
}

/** The share (0 to 1) that the runtime has for the message's key, else the message's default; `absent` where there is no message. */
export function runtimeFraction(percent: RuntimeFractionalPercent | undefined, absent: number, at: Field): number {
  if (percent === undefined) return absent;
  const value = percent.runtimeKey === "" ? undefined : at.runtime.get(percent.runtimeKey);
  if (value?.kind === "fraction") return value.share;
  // A whole number is a percentage, as it was before there were fractions; anything else is no value.
  if (value !== undefined && /^\d+$/.test(value.text)) return clamp(Number(value.text) / 100);
  return percent.defaultValue === undefined ? 1 : fraction(percent.defaultValue);
}

/** What a data source holds, where it is in the message itself. Files and variables are read by whoever loads the configuration. */
export function inlineText(source: DataSource | undefined, at: Field): string | undefined {
  switch (source?.specifier?.$case) {
    case undefined:
      return undefined;
    case "inlineString":
      return source.specifier.value;
    case "inlineBytes":
      return source.specifier.value.toString("utf8");
    default:
      at.refuse("only inline_string and inline_bytes are read here");
      return undefined;
  }
}

export type SocketTarget =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "pipe"; readonly path: string };

export function socketTarget(address: Address | undefined, at: Field): SocketTarget | undefined {
  const inner = address?.address;
  if (inner?.$case === "pipe") return { kind: "pipe", path: inner.value.path };
  if (inner?.$case !== "socketAddress") {
    at.refuse("an address must be a socket_address or a pipe");
    return undefined;
  }
  const { value } = inner;
  if (value.protocol !== 0) at.at("socketAddress").at("protocol").refuse("only TCP is served");
  if (value.portSpecifier?.$case === "namedPort")
    at.at("socketAddress").at("namedPort").refuse("ports have numbers here");
  return {
    kind: "tcp",
    host: value.address,
    port: value.portSpecifier?.$case === "portValue" ? value.portSpecifier.value : 0,
  };
}

export function targetText(target: SocketTarget): string {
  if (target.kind === "pipe") return target.path;
  return target.host.includes(":") ? `[${target.host}]:${target.port}` : `${target.host}:${target.port}`;
}

export interface IpRange {
  readonly prefixLength: number;
  contains(ip: string): boolean;
}

export function ipRange(range: CidrRange, at: Field): IpRange {
  const family = isIP(range.addressPrefix);
  const prefixLength = range.prefixLen ?? 0;
  if (family === 0 || prefixLength > (family === 4 ? 32 : 128)) {
    at.refuse(`${range.addressPrefix}/${prefixLength} is not a range of addresses`);
    return { prefixLength: 0, contains: () => false };
  }
  const list = new BlockList();
  list.addSubnet(range.addressPrefix, prefixLength, family === 4 ? "ipv4" : "ipv6");
  return { prefixLength, contains: (ip) => list.check(plainIp(ip), plainIp(ip).includes(":") ? "ipv6" : "ipv4") };
}

/** Without the IPv6 clothes that a dual-stack socket puts on an IPv4 address. */
export function plainIp(ip: string): string {
  return ip.startsWith("::ffff:") && ip.includes(".") ? ip.slice(7) : ip;
}

/** What weft says about whose resource this is: `VirtualService production/api spec.http[0]`. */
export interface Cause {
  readonly resource: string;
  readonly rule: string;
}

export function causeOf(metadata: Metadata | undefined): Cause | undefined {
  const own = metadata?.filterMetadata["weft.dev"];
  if (own === undefined) return undefined;
  const resource = textOf(own, "resource");
  return resource === "" ? undefined : { resource, rule: textOf(own, "rule") };
}

export function ownText(metadata: Metadata | undefined, key: string): string {
  const own = metadata?.filterMetadata["weft.dev"];
  return own === undefined ? "" : textOf(own, key);
}

export function ownNumber(metadata: Metadata | undefined, key: string): number {
  const value: unknown = metadata?.filterMetadata["weft.dev"]?.[key];
  return typeof value === "number" && value >= 0 ? value : 0;
}

export function causeText(cause: Cause | undefined): string {
  if (cause === undefined) return "";
  return cause.rule === "" ? cause.resource : `${cause.resource} ${cause.rule}`;
}

function textOf(struct: { readonly [key: string]: unknown }, key: string): string {
  const value = struct[key];
  return typeof value === "string" ? value : "";
}
