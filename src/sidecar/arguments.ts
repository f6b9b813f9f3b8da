// The command line of the proxy's bundle: `proxy sidecar …` or `proxy router …` in a pod, `proxy -c FILE` on a bootstrap of one's own.

import type { ProxyType } from "../agent/environment.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type LogLevel, parseLogLevel } from "../observe/log.ts";
import { CONCURRENCY_MAX } from "./limits.ts";

export interface ServerOptions {
  /** Empty where there is none. */
  readonly configPath: string;
  readonly configYaml: string;
  readonly concurrency: number;
  readonly drainMs: number;
  readonly drainStrategy: "gradual" | "immediate";
  readonly parentShutdownMs: number;
  readonly serviceCluster: string;
  readonly serviceNode: string;
  readonly serviceZone: string;
  readonly logLevel: LogLevel;
  readonly componentLevels: readonly (readonly [logger: string, level: LogLevel])[];
  readonly logPath: string;
  readonly logFormat: string;
  readonly adminAddressPath: string;
  /** Flags of Envoy's that mean nothing here. */
  readonly withoutEffect: readonly string[];
}

export type Arguments =
  | {
      readonly kind: "sidecar";
      /** `router`: a gateway, which stands alone in its pod. */
      readonly proxyType: ProxyType;
      readonly dnsDomain: string;
      readonly logLevel: LogLevel;
      /** Flags that Istio's agent knows and this one doesn't: told, not refused. */
      readonly ignored: readonly string[];
    }
  | {
      /** Envoy, with the agent beside it. */
      readonly kind: "agent";
      readonly proxyType: ProxyType;
      readonly dnsDomain: string;
      readonly logLevel: LogLevel;
      readonly ignored: readonly string[];
      readonly envoyPath: string;
    }
  | { readonly kind: "serve"; readonly options: ServerOptions }
  | { readonly kind: "validate"; readonly options: ServerOptions }
  | { readonly kind: "help" | "version" | "agent-help" };

export function parseArguments(words: readonly string[]): Result<Arguments, string> {
  const [program, ...rest] = words;
  if (program === "agent") return agentArguments(rest);
  if (program !== "proxy") return err(`expected "proxy", not "${program ?? ""}". ${SEE_HELP}`);
  const [type] = rest;
  return type === "sidecar" || type === "router" ? sidecarArguments(type, rest.slice(1)) : serverArguments(rest);
}

const SEE_HELP = 'Next: see "weft proxy --help".';
const SEE_AGENT_HELP = 'Next: see "weft agent --help".';
const LEVEL_FLAGS: ReadonlySet<string> = new Set(["-l", "--log-level", "--proxyLogLevel"]);

/** Istio's own agent is called with the word "proxy" before the type. */
function agentArguments(words: readonly string[]): Result<Arguments, string> {
  if (words.length === 0 || words.includes("--help") || words.includes("-h")) return ok({ kind: "agent-help" });
  if (words.includes("--version")) return ok({ kind: "version" });
  const [type, ...rest] = words[0] === "proxy" ? words.slice(1) : words;
  if (type !== "sidecar" && type !== "router") {
    return err(`expected "sidecar" or "router", not "${type ?? ""}". ${SEE_AGENT_HELP}`);
  }
  const at = rest.findIndex((word) => word === "--envoy" || word.startsWith("--envoy="));
  const own = at === -1 ? [] : rest.splice(at, rest[at] === "--envoy" ? 2 : 1);
  const envoyPath = own[1] ?? own[0]?.slice("--envoy=".length) ?? "";
  if (at !== -1 && envoyPath === "") return err(`--envoy needs the path of a binary. ${SEE_AGENT_HELP}`);
  const read = sidecarArguments(type, rest);
  return read.ok && read.value.kind === "sidecar" ? ok({ ...read.value, kind: "agent", envoyPath }) : read;
}

function sidecarArguments(proxyType: ProxyType, words: readonly string[]): Result<Arguments, string> {
  let level = "info";
  let dnsDomain = "";
  const ignored: string[] = [];
  for (const [name, value] of looseFlags(words)) {
    if (LEVEL_FLAGS.has(name)) level = value;
    else if (name === "--domain") dnsDomain = value;
    else ignored.push(name);
  }
  const logLevel = readLevel(level);
  return logLevel.ok ? ok({ kind: "sidecar", proxyType, dnsDomain, logLevel: logLevel.value, ignored }) : logLevel;
}

/** `--name=value`, `--name value` and bare `--name`: which flags take a value is not known for all. */
function looseFlags(words: readonly string[]): readonly (readonly [string, string])[] {
  const flags: (readonly [string, string])[] = [];
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? "";
    const equals = word.indexOf("=");
    const next = words[index + 1];
    if (word.startsWith("--") && equals !== -1) flags.push([word.slice(0, equals), word.slice(equals + 1)]);
    else if (next !== undefined && !next.startsWith("-")) {
      flags.push([word, next]);
      index += 1;
    } else flags.push([word, ""]);
  }
  return flags;
}

type Draft = { -readonly [K in keyof ServerOptions]: ServerOptions[K] } & {
  mode: string;
  print: "help" | "version" | undefined;
};
type Reader = (draft: Draft, value: string) => string | undefined;

const SHORT: Readonly<Record<string, string>> = { "-c": "--config-path", "-l": "--log-level", "-h": "--help" };

/** Flags with a value; a reader returns what is wrong with it. */
const VALUED: Readonly<Record<string, Reader>> = {
  "--config-path": (draft, value) => set(draft, "configPath", value),
  "--config-yaml": (draft, value) => set(draft, "configYaml", value),
  "--service-cluster": (draft, value) => set(draft, "serviceCluster", value),
  "--service-node": (draft, value) => set(draft, "serviceNode", value),
  "--service-zone": (draft, value) => set(draft, "serviceZone", value),
  "--log-path": (draft, value) => set(draft, "logPath", value),
  "--log-format": (draft, value) => set(draft, "logFormat", value),
  "--admin-address-path": (draft, value) => set(draft, "adminAddressPath", value),
  "--mode": (draft, value) => {
    draft.mode = value;
    return value === "serve" || value === "validate" ? undefined : "it is serve or validate";
  },
  "--concurrency": (draft, value) => {
    draft.concurrency = Number(value);
    const fits = isWhole(value) && draft.concurrency >= 1 && draft.concurrency <= CONCURRENCY_MAX;
    return fits ? undefined : `it is a number of worker threads from 1 to ${CONCURRENCY_MAX}`;
  },
  "--drain-time-s": (draft, value) => {
    draft.drainMs = Number(value) * 1000;
    return isWhole(value) ? undefined : "it is a number of whole seconds";
  },
  "--parent-shutdown-time-s": (draft, value) => {
    draft.parentShutdownMs = Number(value) * 1000;
    return isWhole(value) ? undefined : "it is a number of whole seconds";
  },
  "--drain-strategy": (draft, value) => {
    if (value !== "gradual" && value !== "immediate") return "it is gradual or immediate";
    draft.drainStrategy = value;
    return undefined;
  },
  "--log-level": (draft, value) => {
    const level = readLevel(value);
    if (!level.ok) return level.error;
    draft.logLevel = level.value;
    return undefined;
  },
  "--component-log-level": (draft, value) => {
    const levels: (readonly [string, LogLevel])[] = [];
    for (const pair of value.split(",")) {
      const [logger = "", word = ""] = pair.split(":");
      const level = parseLogLevel(word);
      if (logger === "" || level === undefined) return "it is LOGGER:LEVEL,LOGGER:LEVEL";
      levels.push([logger, level]);
    }
    draft.componentLevels = levels;
    return undefined;
  },
};

const WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  "--base-id",
  "--base-id-path",
  "--restart-epoch",
  "--file-flush-interval-msec",
]);
const BARE_WITHOUT_EFFECT: ReadonlySet<string> = new Set(["--use-dynamic-base-id", "--disable-hot-restart"]);

function serverArguments(words: readonly string[]): Result<Arguments, string> {
  const draft = emptyDraft();
  const waiting = [...words];
  for (let word = waiting.shift(); word !== undefined; word = waiting.shift()) {
    const failed = readWord(draft, word, () => waiting.shift());
    if (failed !== undefined) return err(`${failed}. ${SEE_HELP}`);
  }
  const { mode, print, ...options } = draft;
  if (print !== undefined) return ok({ kind: print });
  if (options.configPath === "" && options.configYaml === "") {
    return err(`no configuration: -c FILE or --config-yaml TEXT is needed. ${SEE_HELP}`);
  }
  return ok({ kind: mode === "validate" ? "validate" : "serve", options });
}

/** What is wrong, if anything is. */
function readWord(draft: Draft, word: string, next: () => string | undefined): string | undefined {
  const equals = word.startsWith("--") ? word.indexOf("=") : -1;
  const given = equals === -1 ? word : word.slice(0, equals);
  const name = SHORT[given] ?? given;
  if (name === "--help" || name === "--version") {
    draft.print = name === "--help" ? "help" : "version";
    return undefined;
  }
  if (BARE_WITHOUT_EFFECT.has(name)) {
    draft.withoutEffect = [...draft.withoutEffect, name];
    return undefined;
  }
  return readValued(draft, name, equals === -1 ? next() : word.slice(equals + 1));
}

function readValued(draft: Draft, name: string, value: string | undefined): string | undefined {
  const reader = VALUED[name];
  if (reader === undefined && !WITHOUT_EFFECT.has(name)) return `unknown argument ${name}`;
  if (value === undefined) return `${name} needs a value`;
  if (reader === undefined) {
    draft.withoutEffect = [...draft.withoutEffect, name];
    return undefined;
  }
  const failed = reader(draft, value);
  return failed === undefined ? undefined : `${name} can't be "${value}": ${failed}`;
}

function emptyDraft(): Draft {
  return {
    configPath: "",
    configYaml: "",
    concurrency: 1,
    drainMs: 600_000,
    drainStrategy: "gradual",
    parentShutdownMs: 900_000,
    serviceCluster: "",
    serviceNode: "",
    serviceZone: "",
    logLevel: "info",
    componentLevels: [],
    logPath: "",
    logFormat: "",
    adminAddressPath: "",
    withoutEffect: [],
    mode: "serve",
    print: undefined,
  };
}

type TextField =
  | "configPath"
  | "configYaml"
  | "serviceCluster"
  | "serviceNode"
  | "serviceZone"
  | "logPath"
  | "logFormat"
  | "adminAddressPath";

function set(draft: Draft, field: TextField, value: string): undefined {
  draft[field] = value;
}

function isWhole(text: string): boolean {
  return /^\d{1,9}$/.test(text);
}

function readLevel(text: string): Result<LogLevel, string> {
  const level = parseLogLevel(text);
  return level === undefined
    ? err(`"${text}" is not a log level: trace, debug, info, warning, error, critical, off`)
    : ok(level);
}
