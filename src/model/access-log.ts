// What Telemetry and MeshConfig together say of a workload's access logs.

import type { Telemetry } from "../api/istio/telemetry.ts";
import { RECORD_ATTRIBUTES } from "../observe/attributes.ts";
import { compileCel } from "../observe/cel.ts";
import { type Finding, refOf } from "./finding.ts";
import { fileFormat, type LogFormat, meshFormat } from "./log-format.ts";
import type { MeshConfig } from "./mesh-config.ts";
import { concerns, type TelemetryMode } from "./telemetry-mode.ts";

export interface AccessLogRule {
  readonly path: string;
  /** Undefined: Istio's default text. */
  readonly format: LogFormat | undefined;
  /** Undefined: everything is logged. */
  readonly filter: string | undefined;
}

type AccessLogging = NonNullable<NonNullable<Telemetry["spec"]>["accessLogging"]>[number];

/** The provider that is there without a definition. */
const BUILT_IN_LOG = "envoy";
const STDOUT = "/dev/stdout";

export function accessLogsOf(
  telemetries: readonly Telemetry[],
  mode: TelemetryMode,
  mesh: MeshConfig,
): readonly AccessLogRule[] {
  const inForce = new InForce(defaultLogs(mesh));
  for (const { spec } of telemetries) inForce.apply((spec?.accessLogging ?? []).filter((rule) => concerns(rule, mode)));
  return inForce.rules(mesh);
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

  rules(mesh: MeshConfig): readonly AccessLogRule[] {
    return [...this.#filters]
      .filter(([, filter]) => filter === undefined || filterProblem(filter) === undefined)
      .flatMap(([name, filter]) => ruleOf(name, filter, mesh));
  }
}

/** Why an expression can't be followed. */
function filterProblem(expression: string): string | undefined {
  const compiled = compileCel(expression, RECORD_ATTRIBUTES);
  return compiled.ok ? undefined : compiled.error;
}

/** Filters that can't be followed, and providers that are no file logs. */
export function accessLogFindings(telemetry: Telemetry, { settings }: MeshConfig): readonly Finding[] {
  const resource = refOf(telemetry);
  return (telemetry.spec?.accessLogging ?? []).flatMap((rule, i): readonly Finding[] => {
    const at = `spec.accessLogging[${i}]`;
    const unknown = (rule.providers ?? []).flatMap(({ name }, j): readonly Finding[] => {
      const defined = settings.extensionProviders?.find((provider) => provider.name === name);
      if (name === BUILT_IN_LOG || defined?.envoyFileAccessLog !== undefined) return [];
      const why = defined === undefined ? "is defined nowhere" : "is not an envoyFileAccessLog";
      const message = `the provider ${name} ${why}: nothing is logged by it`;
      return [{ resource, type: "reference", path: `${at}.providers[${j}].name`, message }];
    });
    const problem = rule.filter?.expression === undefined ? undefined : filterProblem(rule.filter.expression);
    if (problem === undefined) return unknown;
    const path = `${at}.filter.expression`;
    return [...unknown, { resource, type: "ignored", path, message: `${problem}; nothing is logged by this rule` }];
  });
}

function defaultLogs({ settings }: MeshConfig): readonly string[] {
  const named = settings.defaultProviders?.accessLogging;
  if (named !== undefined) return named;
  return (settings.accessLogFile ?? "") === "" ? [] : [BUILT_IN_LOG];
}

function namesOf({ providers }: AccessLogging): readonly string[] {
  return (providers ?? []).map(({ name }) => name);
}

/** Nothing for a provider that is no file log. */
function ruleOf(name: string, filter: string | undefined, { settings }: MeshConfig): readonly AccessLogRule[] {
  const file = settings.extensionProviders?.find((provider) => provider.name === name)?.envoyFileAccessLog;
  if (file !== undefined) return [{ path: file.path || STDOUT, format: fileFormat(file.logFormat), filter }];
  if (name !== BUILT_IN_LOG) return [];
  return [{ path: settings.accessLogFile || STDOUT, format: meshFormat(settings), filter }];
}
