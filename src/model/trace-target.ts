// A tracing provider's name to where its spans go: as MeshConfig defines it, or, where nothing does, the Service of that name.

import type { MeshSettings } from "../api/istio/mesh-config.ts";
import { parseDurationMs } from "../api/istio/rules.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { ServiceResource } from "../ingest/resources.ts";
import type { MeshConfig } from "./mesh-config.ts";
import { hostOf } from "./service.ts";

export type TraceProtocol = "jaeger-agent" | "otlp-grpc" | "otlp-http" | "zipkin";

export interface TraceTarget {
  readonly protocol: TraceProtocol;
  /** `namespace/name` of the Service. */
  readonly service: string;
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** Flat: name, value, name, value, … */
  readonly headers: readonly string[];
  readonly timeoutMs: number | undefined;
  readonly longTraceIds: boolean;
  /** Zipkin's contexts beside W3C's. */
  readonly withW3c: boolean;
  readonly pathLengthMax: number | undefined;
  /** The provider is defined nowhere: what its name was taken for. */
  readonly isGuess: boolean;
}

export interface ProviderWorld {
  readonly mesh: MeshConfig;
  readonly resources: { readonly services: ReadonlyMap<string, ServiceResource> };
  /** Nobody here can speak to a Jaeger agent. */
  readonly withoutAgents?: boolean;
}

/** What a backend speaks at its usual port, in the order in which they are looked for. */
export const TRACING_PORTS: readonly {
  readonly port: number;
  readonly protocol: TraceProtocol;
  readonly words: string;
  readonly transport: "TCP" | "UDP";
}[] = [
  { port: 6831, protocol: "jaeger-agent", words: "Jaeger thrift-compact over UDP", transport: "UDP" },
  { port: 4317, protocol: "otlp-grpc", words: "OTLP over gRPC", transport: "TCP" },
  { port: 4318, protocol: "otlp-http", words: "OTLP over HTTP", transport: "TCP" },
  { port: 9411, protocol: "zipkin", words: "Zipkin", transport: "TCP" },
];

/** The local cluster's own store has a Service with this label. */
export const TRACE_STORE_LABEL = "weft.dev/trace-store";
/** Backends that it stands in for while they are not there. */
export const TRACE_STORE_NAMES: readonly string[] = ["jaeger", "zipkin", "otel", "opentelemetry"];

const ZIPKIN_PATH = "/api/v2/spans";
const OTLP_PATH = "/v1/traces";
const PLAIN = {
  path: "",
  headers: [],
  timeoutMs: undefined,
  longTraceIds: true,
  withW3c: false,
  pathLengthMax: undefined,
  isGuess: false,
};

/** The error is a reason, without an end: `the provider x is defined nowhere, and there is no Service …`. */
export function resolveTracer(name: string, world: ProviderWorld): Result<TraceTarget, string> {
  const defined = world.mesh.settings.extensionProviders?.find((provider) => provider.name === name);
  return defined === undefined ? guessTracer(name, world) : definedTracer(defined, world);
}

type Provider = NonNullable<MeshSettings["extensionProviders"]>[number];

function definedTracer(provider: Provider, world: ProviderWorld): Result<TraceTarget, string> {
  const { name, zipkin, opentelemetry } = provider;
  const given = zipkin ?? opentelemetry;
  if (given === undefined)
    return err(`the provider ${name} is defined in MeshConfig, but not as a tracer that weft has`);
  const { service = "", port = 0, maxTagLength } = given;
  const found = findService(service, world);
  if (found === undefined)
    return err(`the provider ${name} is defined in MeshConfig, and its service ${service} does not exist`);
  const at = { ...PLAIN, ...found, port, pathLengthMax: maxTagLength };
  if (zipkin !== undefined) {
    return ok({
      ...at,
      protocol: "zipkin",
      path: zipkin.path || ZIPKIN_PATH,
      longTraceIds: zipkin.enable64bitTraceId !== true,
      withW3c: zipkin.traceContextOption === "USE_B3_WITH_W3C_PROPAGATION",
      ...withHttp(zipkin),
    });
  }
  const http = opentelemetry?.http;
  if (http === undefined) return ok({ ...at, protocol: "otlp-grpc", ...withHttp(opentelemetry?.grpc ?? {}) });
  return ok({ ...at, protocol: "otlp-http", path: http.path || OTLP_PATH, ...withHttp(http) });
}

interface HttpSettings {
  readonly timeout?: string;
  readonly headers?: readonly { readonly name?: string; readonly value?: string }[];
  readonly initialMetadata?: HttpSettings["headers"];
}

function withHttp({ timeout, headers, initialMetadata }: HttpSettings): Pick<TraceTarget, "headers" | "timeoutMs"> {
  return {
    timeoutMs: timeout === undefined ? undefined : parseDurationMs(timeout),
    headers: (headers ?? initialMetadata ?? []).flatMap(({ name = "", value = "" }) => [name, value]),
  };
}

/** `host` or `namespace/host`, as Istio writes the service of a provider. */
function findService(
  text: string,
  { mesh, resources }: ProviderWorld,
): Pick<TraceTarget, "service" | "host"> | undefined {
  const [namespace, host] = text.includes("/") ? text.split("/", 2) : [undefined, text];
  for (const [key, service] of resources.services) {
    if (hostOf(service, mesh.clusterDomain) !== host) continue;
    if (namespace === undefined || namespace === service.metadata.namespace) return { service: key, host };
  }
  return undefined;
}

function serviceOrStore(
  key: string,
  name: string,
  services: ReadonlyMap<string, ServiceResource>,
): readonly [string, ServiceResource | undefined] {
  const own = services.get(key);
  if (own !== undefined || !TRACE_STORE_NAMES.includes(name)) return [key, own];
  const root = key.slice(0, -name.length);
  const store = [...services].find(
    ([each, { metadata }]) => each.startsWith(root) && metadata.labels?.[TRACE_STORE_LABEL] === "true",
  );
  return store ?? [key, undefined];
}

/** A provider's service that is spoken to by gRPC; undefined where there is none. */
export function grpcTarget(service: string, port: number, world: ProviderWorld): TraceTarget | undefined {
  const found = findService(service, world);
  return found === undefined ? undefined : { ...PLAIN, ...found, port, protocol: "otlp-grpc" };
}

function guessTracer(name: string, { mesh, resources, withoutAgents }: ProviderWorld): Result<TraceTarget, string> {
  const wanted = `${mesh.rootNamespace}/${name}`;
  const [key, service] = serviceOrStore(wanted, name, resources.services);
  if (service === undefined) return err(`the provider ${name} is defined nowhere, and there is no Service ${wanted}`);
  const ports = service.spec?.ports ?? [];
  for (const known of TRACING_PORTS) {
    if (withoutAgents === true && known.protocol === "jaeger-agent") continue;
    const port = ports.find((each) => each.port === known.port && (each.protocol ?? "TCP") === known.transport);
    if (port === undefined) continue;
    const path = known.protocol === "zipkin" ? ZIPKIN_PATH : known.protocol === "otlp-http" ? OTLP_PATH : "";
    const host = hostOf(service, mesh.clusterDomain);
    return ok({ ...PLAIN, protocol: known.protocol, service: key, host, port: known.port, path, isGuess: true });
  }
  const numbers = TRACING_PORTS.map(({ port }) => port).join(", ");
  return err(`the provider ${name} is defined nowhere, and the Service ${key} has none of the ports ${numbers}`);
}
