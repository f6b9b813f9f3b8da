// What Telemetry and MeshConfig together say of a workload's access logs.

import type { Telemetry } from "../api/istio/telemetry.ts";
import { RECORD_ATTRIBUTES } from "../observe/attributes.ts";
import { compileCel } from "../observe/cel.ts";
import { type Finding, refOf } from "./finding.ts";
import { fileFormat, type LogFormat, meshFormat } from "./log-format.ts";
import type { MeshConfig } from "./mesh-config.ts";
import { concerns, type TelemetryMode } from "./telemetry-mode.ts";
import { grpcTarget, type ProviderWorld, type TraceTarget } from "./trace-target.ts";

export interface AccessLogRule {
  readonly path: string;
  /** Undefined: Istio's default text. */
  readonly format: LogFormat | undefined;
  /** Undefined: everything is logged. */
  readonly filter: string | undefined;
  /** Where it isn't a file that is written. */
  readonly collector?: LogCollector;
}

/** Whom entries are sent to. */
export interface LogCollector {
  readonly kind: "otlp" | "als-http" | "als-tcp";
  readonly target: TraceTarget;
  readonly logName: string;
  readonly requestHeaders: readonly string[];
  readonly responseHeaders: readonly string[];
  readonly responseTrailers: readonly string[];
}

type AccessLogging = NonNullable<NonNullable<Telemetry["spec"]>["accessLogging"]>[number];

/** The provider that is there without a definition. */
const BUILT_IN_LOG = "envoy";
const STDOUT = "/dev/stdout";

export function accessLogsOf(
  telemetries: readonly Telemetry[],
  mode: TelemetryMode,
  world: ProviderWorld,
): readonly AccessLogRule[] {
  const inForce = new InForce(defaultLogs(world.mesh));
  for (const { spec } of telemetries) inForce.apply((spec?.accessLogging ?? []).filter((rule) => concerns(rule, mode)));
  return inForce.rules(world);
}

/** Which providers log, each with its filter. */
class InForce {
  readonly #filters: Map<string, string | undefined>;
  /** Whom a rule means that names nobody. */
  #named: readonly string[];

  constructor(named: readonly string[]) {
    this.#filters = new Map(named.map((name) => [name, undefined]));
    this.#named = named;
  }

  apply(rules: readonly AccessLogging[]): void {
    const own = rules.flatMap(namesOf);
    // Who names providers means these and no others.
    if (own.length > 0) {
      for (const name of this.#filters.keys()) if (!own.includes(name)) this.#filters.delete(name);
      this.#named = own;
    }
    const inherited = this.#named.length > 0 ? this.#named : [BUILT_IN_LOG];
    for (const rule of rules) {
      const names = namesOf(rule);
      for (const name of names.length > 0 ? names : inherited) {
        if (rule.disabled === true) this.#filters.delete(name);
        else this.#filters.set(name, rule.filter?.expression);
      }
    }
  }

  rules(world: ProviderWorld): readonly AccessLogRule[] {
    return [...this.#filters]
      .filter(([, filter]) => filter === undefined || filterProblem(filter) === undefined)
      .flatMap(([name, filter]) => ruleOf(name, filter, world));
  }
}

/** Why an expression can't be followed. */
function filterProblem(expression: string): string | undefined {
  const compiled = compileCel(expression, RECORD_ATTRIBUTES);
  return compiled.ok ? undefined : compiled.error;
}

/** Filters that can't be followed, and providers that lead nowhere. */
export function accessLogFindings(telemetry: Telemetry, world: ProviderWorld): readonly Finding[] {
  const resource = refOf(telemetry);
  return (telemetry.spec?.accessLogging ?? []).flatMap((rule, i): readonly Finding[] => {
    const at = `spec.accessLogging[${i}]`;
    const unknown = (rule.providers ?? []).flatMap(({ name }, j): readonly Finding[] => {
      const why = problemOfProvider(name, world);
      if (why === undefined) return [];
      const message = `the provider ${name} ${why}: nothing is logged by it`;
      return [{ resource, type: "reference", path: `${at}.providers[${j}].name`, message }];
    });
    const problem = rule.filter?.expression === undefined ? undefined : filterProblem(rule.filter.expression);
    if (problem === undefined) return unknown;
    const path = `${at}.filter.expression`;
    return [...unknown, { resource, type: "ignored", path, message: `${problem}; nothing is logged by this rule` }];
  });
}

function problemOfProvider(name: string, world: ProviderWorld): string | undefined {
  if (name === BUILT_IN_LOG) return undefined;
  const defined = providerOf(name, world);
  if (defined === undefined) return "is defined nowhere";
  if (defined.envoyFileAccessLog !== undefined) return undefined;
  const [, given] = collectorOf(defined) ?? [];
  if (given === undefined) return "is not an access log's";
  return grpcTarget(given.service ?? "", given.port ?? 0, world) === undefined
    ? `has the service ${given.service}, which does not exist`
    : undefined;
}

function providerOf(name: string, { mesh }: ProviderWorld): Provider | undefined {
  return mesh.settings.extensionProviders?.find((provider) => provider.name === name);
}

function collectorOf(provider: Provider): readonly [LogCollector["kind"], CollectorSettings] | undefined {
  const { envoyOtelAls, envoyHttpAls, envoyTcpAls } = provider;
  if (envoyOtelAls !== undefined) return ["otlp", envoyOtelAls];
  if (envoyHttpAls !== undefined) return ["als-http", envoyHttpAls];
  return envoyTcpAls === undefined ? undefined : ["als-tcp", envoyTcpAls];
}

function defaultLogs({ settings }: MeshConfig): readonly string[] {
  const named = settings.defaultProviders?.accessLogging;
  if (named !== undefined) return named;
  return (settings.accessLogFile ?? "") === "" ? [] : [BUILT_IN_LOG];
}

function namesOf({ providers }: AccessLogging): readonly string[] {
  return (providers ?? []).map(({ name }) => name);
}

/** Nothing for a provider that logs nowhere. */
function ruleOf(name: string, filter: string | undefined, world: ProviderWorld): readonly AccessLogRule[] {
  const { settings } = world.mesh;
  const provider = providerOf(name, world);
  const collected = provider === undefined ? undefined : collectorOf(provider);
  if (collected !== undefined) return collectedRule(...collected, filter, world);
  const file = provider?.envoyFileAccessLog;
  if (file !== undefined) return [{ path: file.path || STDOUT, format: fileFormat(file.logFormat), filter }];
  if (name !== BUILT_IN_LOG) return [];
  return [{ path: settings.accessLogFile || STDOUT, format: meshFormat(settings), filter }];
}

function collectedRule(
  kind: LogCollector["kind"],
  given: CollectorSettings,
  filter: string | undefined,
  world: ProviderWorld,
): readonly AccessLogRule[] {
  const target = grpcTarget(given.service ?? "", given.port ?? 0, world);
  if (target === undefined) return [];
  const collector: LogCollector = {
    kind,
    target,
    logName: given.logName || LOG_NAMES[kind],
    requestHeaders: given.additionalRequestHeadersToLog ?? [],
    responseHeaders: given.additionalResponseHeadersToLog ?? [],
    responseTrailers: given.additionalResponseTrailersToLog ?? [],
  };
  const format = kind === "otlp" ? fileFormat(given.logFormat) : undefined;
  return [{ path: "", format, filter, collector }];
}

/** Istio's names where none is given. */
const LOG_NAMES: Readonly<Record<LogCollector["kind"], string>> = {
  otlp: "otel_envoy_accesslog",
  "als-http": "http_envoy_accesslog",
  "als-tcp": "tcp_envoy_accesslog",
};

type Provider = NonNullable<MeshConfig["settings"]["extensionProviders"]>[number];

interface CollectorSettings {
  readonly service?: string;
  readonly port?: number;
  readonly logName?: string;
  readonly logFormat?: NonNullable<Provider["envoyOtelAls"]>["logFormat"];
  readonly additionalRequestHeadersToLog?: readonly string[];
  readonly additionalResponseHeadersToLog?: readonly string[];
  readonly additionalResponseTrailersToLog?: readonly string[];
}
