// HttpConnectionManager.tracing: which requests are traced, what their spans say, and in what form they go where.

import type { RecordFormatter } from "../../observe/access-record.ts";
import { compileFormat } from "../../observe/format.ts";
import type { Decorator, Route } from "../../proto/gen/envoy/config/route/v3/route_components.ts";
import type {
  HttpConnectionManager,
  HttpConnectionManager_Tracing,
} from "../../proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import { UuidRequestIdConfig } from "../../proto/gen/envoy/extensions/request_id/uuid/v3/uuid.ts";
import type { CustomTag } from "../../proto/gen/envoy/type/tracing/v3/custom_tag.ts";
import type { FractionalPercent } from "../../proto/gen/envoy/type/v3/percent.ts";
import { type Field, fields } from "./field.ts";
import { compileTraceProvider, type TraceProvider } from "./trace-provider.ts";
import { fraction } from "./value.ts";

/** Ten-thousandths of all requests. */
export interface Sampling {
  readonly client: number;
  readonly random: number;
  readonly overall: number;
}

export type TagConfig =
  | { readonly kind: "literal"; readonly name: string; readonly value: string }
  | { readonly kind: "environment"; readonly name: string; readonly variable: string; readonly absent: string }
  | { readonly kind: "header"; readonly name: string; readonly header: string; readonly absent: string }
  | {
      readonly kind: "metadata";
      readonly name: string;
      readonly from: "request" | "route";
      readonly namespace: string;
      readonly path: readonly string[];
      readonly absent: string;
    }
  | { readonly kind: "format"; readonly name: string; readonly write: RecordFormatter };

export interface TracingConfig {
  /** Undefined: requests are marked, and nothing is told of them. */
  readonly provider: TraceProvider | undefined;
  readonly sampling: Sampling;
  readonly pathLengthMax: number;
  readonly tags: readonly TagConfig[];
  /** A span of its own for each try. */
  readonly spawnUpstreamSpan: boolean;
  readonly operation: RecordFormatter | undefined;
  readonly upstreamOperation: RecordFormatter | undefined;
  readonly propagates: boolean;
  /** The request's id decides, and carries the decision on. */
  readonly byRequestId: boolean;
  readonly marksRequestId: boolean;
}

/** What a route says of its requests' spans. */
export interface RouteTracing {
  /** The operation's name; empty: none of its own. */
  readonly decorator: string;
  readonly propagatesDecorator: boolean;
  readonly sampling: Partial<Sampling>;
  readonly tags: readonly TagConfig[];
  readonly operation: RecordFormatter | undefined;
  readonly upstreamOperation: RecordFormatter | undefined;
}

const TRACING =
  fields(`clientSampling randomSampling overallSampling maxPathTagLength customTags provider spawnUpstreamSpan
  operation upstreamOperation noContextPropagation`);
const ROUTE = fields("clientSampling randomSampling overallSampling customTags operation upstreamOperation");
const PATH_LENGTH_MAX = 256;
const ALL = 10_000;

/** `startsChildSpan`: the router's older way to ask for a span of each try. */
export function compileTracing(
  hcm: HttpConnectionManager,
  startsChildSpan: boolean,
  at: Field,
): TracingConfig | undefined {
  const { tracing } = hcm;
  if (tracing === undefined) return undefined;
  const field = at.at("tracing");
  field.only(tracing, TRACING);
  return {
    provider: compileTraceProvider(tracing.provider, field.at("provider")),
    sampling: {
      client: percent(tracing.clientSampling),
      random: percent(tracing.randomSampling),
      overall: percent(tracing.overallSampling),
    },
    pathLengthMax: tracing.maxPathTagLength ?? PATH_LENGTH_MAX,
    tags: compileTags(tracing.customTags, field.at("customTags")),
    spawnUpstreamSpan: tracing.spawnUpstreamSpan ?? startsChildSpan,
    operation: compileOperation(tracing.operation, field.at("operation")),
    upstreamOperation: compileOperation(tracing.upstreamOperation, field.at("upstreamOperation")),
    propagates: !tracing.noContextPropagation,
    ...requestIdRules(hcm),
  };
}

function requestIdRules(hcm: HttpConnectionManager): Pick<TracingConfig, "byRequestId" | "marksRequestId"> {
  const extension = hcm.requestIdExtension?.typedConfig;
  const uuid = extension === undefined ? undefined : UuidRequestIdConfig.decode(extension.value);
  return {
    byRequestId: uuid?.useRequestIdForTraceSampling ?? true,
    marksRequestId: uuid?.packTraceReason ?? true,
  };
}

function percent(given: HttpConnectionManager_Tracing["clientSampling"]): number {
  return given === undefined ? ALL : Math.floor(given.value * 100);
}

export function compileRouteTracing(route: Route, at: Field): RouteTracing | undefined {
  const { tracing } = route;
  const decorator: Decorator | undefined = route.decorator;
  if (tracing === undefined && decorator === undefined) return undefined;
  const field = at.at("tracing");
  if (tracing !== undefined) field.only(tracing, ROUTE);
  return {
    decorator: decorator?.operation ?? "",
    propagatesDecorator: decorator?.propagate ?? true,
    sampling: tracing === undefined ? NO_SAMPLING : routeSampling(tracing),
    tags: compileTags(tracing?.customTags ?? [], field.at("customTags")),
    operation: compileOperation(tracing?.operation ?? "", field.at("operation")),
    upstreamOperation: compileOperation(tracing?.upstreamOperation ?? "", field.at("upstreamOperation")),
  };
}

const NO_SAMPLING: Partial<Sampling> = {};

/** A route that says anything of tracing says all of sampling: what it leaves out is everything. */
function routeSampling(tracing: NonNullable<Route["tracing"]>): Sampling {
  const share = (given: FractionalPercent | undefined) =>
    given === undefined ? ALL : Math.round(fraction(given) * ALL);
  return {
    client: share(tracing.clientSampling),
    random: share(tracing.randomSampling),
    overall: share(tracing.overallSampling),
  };
}

function compileOperation(text: string, at: Field): RecordFormatter | undefined {
  return text === "" ? undefined : compileValue(text, at);
}

function compileValue(text: string, at: Field): RecordFormatter | undefined {
  const format = compileFormat(text, { omitEmpty: true });
  if (format.ok) return format.value;
  at.refuse(format.error);
  return undefined;
}

function compileTags(tags: readonly CustomTag[], at: Field): readonly TagConfig[] {
  return tags.flatMap((tag, index) => compileTag(tag, at.at(index)) ?? []);
}

function compileTag({ tag: name, type }: CustomTag, at: Field): TagConfig | undefined {
  switch (type?.$case) {
    case "literal":
      return { kind: "literal", name, value: type.value.value };
    case "environment":
      return { kind: "environment", name, variable: type.value.name, absent: type.value.defaultValue };
    case "requestHeader":
      return { kind: "header", name, header: type.value.name.toLowerCase(), absent: type.value.defaultValue };
    case "value": {
      const write = compileValue(type.value, at.at("value"));
      return write === undefined ? undefined : { kind: "format", name, write };
    }
    case "metadata": {
      const from = type.value.kind?.kind?.$case;
      if (from !== "request" && from !== "route") {
        at.at("metadata").at("kind").refuse("only metadata of the request and of the route are known here");
        return undefined;
      }
      const path = (type.value.metadataKey?.path ?? []).map((one) => one.segment?.value ?? "");
      const namespace = type.value.metadataKey?.key ?? "";
      return { kind: "metadata", name, from, namespace, path, absent: type.value.defaultValue };
    }
    default:
      at.refuse("a custom tag needs a type");
      return undefined;
  }
}
