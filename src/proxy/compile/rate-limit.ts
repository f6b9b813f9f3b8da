// Rate-limit actions of routes and filters: what describes a request when its rate is limited.

import { isIP } from "node:net";
import {
  type RateLimit,
  type RateLimit_Action,
  type RateLimit_Action_MaskedRemoteAddress,
  RateLimit_Action_MetaData_Source,
} from "../../proto/gen/envoy/config/route/v3/route_components.ts";
import type { MetadataKey } from "../../proto/gen/envoy/type/metadata/v3/metadata.ts";
import type { RequestHead } from "../codec/head.ts";
import { type Field, fields } from "./field.ts";
import { compileHeaders, compileQuery, valueAt } from "./matcher.ts";

/** What the actions look at. */
export interface Described {
  readonly head: RequestHead;
  readonly remoteIp: string;
  readonly routeCluster: string;
  metadata(namespace: string): unknown;
  routeMetadata(namespace: string): unknown;
}

export interface DescriptorEntry {
  readonly key: string;
  readonly value: string;
}

/** An entry; `skip`: none, which does no harm; `none`: there is no descriptor at all then. */
type Describe = (request: Described) => DescriptorEntry | "skip" | "none";

export interface RateLimitPolicy {
  readonly stage: number;
  /** Undefined where an action finds nothing to describe. */
  describe(request: Described): readonly DescriptorEntry[] | undefined;
}

/** What a route and its virtual host say of it. */
export interface RouteRateLimits {
  readonly route: readonly RateLimitPolicy[];
  readonly host: readonly RateLimitPolicy[];
  readonly includeHost: boolean;
}

export function compileRateLimits(limits: readonly RateLimit[], at: Field): readonly RateLimitPolicy[] {
  return limits.map((one, index) => compileRateLimit(one, at.at(index)));
}

function compileRateLimit(limit: RateLimit, at: Field): RateLimitPolicy {
  at.only(limit, fields("stage actions"));
  const actions = limit.actions.map((one, index) => compileAction(one, at.at("actions").at(index)));
  return { stage: limit.stage ?? 0, describe: (request) => describeAll(actions, request) };
}

function describeAll(actions: readonly Describe[], request: Described): readonly DescriptorEntry[] | undefined {
  const entries: DescriptorEntry[] = [];
  for (const action of actions) {
    const entry = action(request);
    if (entry === "none") return undefined;
    if (entry !== "skip") entries.push(entry);
  }
  return entries;
}

const NOTHING: Describe = () => "none";

function compileAction(action: RateLimit_Action, at: Field): Describe {
  const specifier = action.actionSpecifier;
  switch (specifier?.$case) {
    case undefined:
      at.refuse("an action is missing");
      return NOTHING;
    case "destinationCluster":
      return ({ routeCluster }) => (routeCluster === "" ? "none" : { key: "destination_cluster", value: routeCluster });
    case "remoteAddress":
      return ({ remoteIp }) => (remoteIp === "" ? "none" : { key: "remote_address", value: remoteIp });
    case "maskedRemoteAddress":
      return maskedAddress(specifier.value);
    case "genericKey": {
      const entry = { key: specifier.value.descriptorKey || "generic_key", value: specifier.value.descriptorValue };
      return () => entry;
    }
    case "requestHeaders":
    case "queryParameters":
      return fromRequest(specifier);
    case "headerValueMatch": {
      const { headers, expectMatch, descriptorKey, descriptorValue } = specifier.value;
      const matchers = compileHeaders(headers, at.at("headerValueMatch").at("headers"));
      const entry = { key: descriptorKey || "header_match", value: descriptorValue };
      const wanted = expectMatch ?? true;
      return ({ head }) => (matchers.every((matches) => matches(head)) === wanted ? entry : "none");
    }
    case "queryParameterValueMatch": {
      const { queryParameters, expectMatch, descriptorKey, descriptorValue } = specifier.value;
      const field = at.at("queryParameterValueMatch").at("queryParameters");
      const matchers = queryParameters.map((one, index) => compileQuery(one, field.at(index)));
      const entry = { key: descriptorKey || "query_match", value: descriptorValue };
      const wanted = expectMatch ?? true;
      return ({ head }) => {
        const parameters = queryOf(head);
        return matchers.every((matches) => matches(parameters)) === wanted ? entry : "none";
      };
    }
    case "metadata":
      return fromMetadata({
        ...specifier.value,
        isRoute: specifier.value.source === RateLimit_Action_MetaData_Source.ROUTE_ENTRY,
      });
    case "dynamicMetadata":
      return fromMetadata({ ...specifier.value, skipIfAbsent: false, isRoute: false });
    case "sourceCluster":
    case "remoteAddressMatch":
    case "extension":
      at.at(specifier.$case).refuse("this kind of rate-limit action is not built in");
      return NOTHING;
  }
}

type FromRequest = Extract<RateLimit_Action["actionSpecifier"], { $case: "requestHeaders" | "queryParameters" }>;

function fromRequest(specifier: FromRequest): Describe {
  const { descriptorKey, skipIfAbsent } = specifier.value;
  const absent = skipIfAbsent ? "skip" : "none";
  if (specifier.$case === "requestHeaders") {
    const name = specifier.value.headerName.toLowerCase();
    return ({ head }) => {
      const value = head.get(name);
      return value === undefined || value === "" ? absent : { key: descriptorKey, value };
    };
  }
  const name = specifier.value.queryParameterName;
  const key = descriptorKey || name;
  return ({ head }) => {
    const value = queryOf(head).get(name);
    return value === undefined || value === "" ? absent : { key, value };
  };
}

function fromMetadata(source: {
  readonly descriptorKey: string;
  readonly metadataKey: MetadataKey | undefined;
  readonly defaultValue: string;
  readonly skipIfAbsent: boolean;
  readonly isRoute: boolean;
}): Describe {
  const { descriptorKey, metadataKey, defaultValue, skipIfAbsent, isRoute } = source;
  const namespace = metadataKey?.key ?? "";
  const keys = (metadataKey?.path ?? []).map((one) => one.segment?.value ?? "");
  return (request) => {
    const struct = isRoute ? request.routeMetadata(namespace) : request.metadata(namespace);
    const found = valueAt(struct, keys);
    const value = typeof found === "string" && found !== "" ? found : defaultValue;
    if (value !== "") return { key: descriptorKey, value };
    return skipIfAbsent ? "skip" : "none";
  };
}

function maskedAddress(mask: RateLimit_Action_MaskedRemoteAddress): Describe {
  const v4 = mask.v4PrefixMaskLen ?? 32;
  const v6 = mask.v6PrefixMaskLen ?? 128;
  return ({ remoteIp }) => {
    const family = isIP(remoteIp);
    if (family === 0) return "none";
    const value = family === 4 ? maskV4(remoteIp, v4) : maskV6(remoteIp, v6);
    return { key: "masked_remote_address", value };
  };
}

function maskV4(ip: string, bits: number): string {
  const parts = ip.split(".").map(Number);
  return `${parts.map((part, at) => part & maskOf(bits - at * 8, 8)).join(".")}/${bits}`;
}

function maskV6(ip: string, bits: number): string {
  const [head = "", tail] = ip.split("::", 2);
  const groups = (text: string) => (text === "" ? [] : text.split(":"));
  const before = groups(head);
  const after = groups(tail ?? "");
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  const words = [...before, ...Array.from({ length: zeros }, () => "0"), ...after].map((word) =>
    Number.parseInt(word, 16),
  );
  const masked = words.map((word, at) => (word & maskOf(bits - at * 16, 16)).toString(16));
  // The URL parser writes an address in its canonical short form.
  return `${new URL(`http://[${masked.join(":")}]/`).hostname.slice(1, -1)}/${bits}`;
}

/** The mask of one part of an address, `bits` of it set from the left. */
function maskOf(bits: number, width: number): number {
  const set = Math.max(0, Math.min(width, bits));
  return (2 ** width - 1) ^ (2 ** (width - set) - 1);
}

/** The first value of each parameter. */
function queryOf(head: RequestHead): ReadonlyMap<string, string> {
  const question = head.path.indexOf("?");
  const parameters = new Map<string, string>();
  if (question === -1) return parameters;
  for (const [name, value] of new URLSearchParams(head.path.slice(question + 1))) {
    if (!parameters.has(name)) parameters.set(name, value);
  }
  return parameters;
}
