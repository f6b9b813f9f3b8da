// The command line of the proxy's bundle: `proxy sidecar …` in a pod, `proxy -c FILE` on a bootstrap of one's own.

import { err, ok, type Result } from "../base/result.ts";
import { type LogLevel, parseLogLevel } from "../observe/log.ts";

export type Arguments =
  | {
      readonly kind: "sidecar";
      readonly dnsDomain: string;
      readonly logLevel: LogLevel;
      /** Flags that Istio's agent knows and this one doesn't: told, not refused. */
      readonly ignored: readonly string[];
    }
  | { readonly kind: "static" | "validate"; readonly file: string; readonly logLevel: LogLevel };

const USAGE = `usage: proxy sidecar [--domain DOMAIN] [--proxyLogLevel LEVEL]
       proxy -c BOOTSTRAP.yaml [-l LEVEL] [--mode serve|validate]`;

const LEVEL_FLAGS: ReadonlySet<string> = new Set(["-l", "--log-level", "--proxyLogLevel"]);
const FILE_FLAGS: ReadonlySet<string> = new Set(["-c", "--config-path"]);

export function parseArguments(words: readonly string[]): Result<Arguments, string> {
  const [program, ...rest] = words;
  if (program !== "proxy") return err(USAGE);
  const isSidecar = rest[0] === "sidecar";
  const flags = readFlags(isSidecar ? rest.slice(1) : rest);
  const read = { logLevel: "info", dnsDomain: "", file: "", mode: "serve" };
  const ignored: string[] = [];
  for (const [name, value] of flags) {
    if (LEVEL_FLAGS.has(name)) read.logLevel = value;
    else if (name === "--domain") read.dnsDomain = value;
    else if (FILE_FLAGS.has(name)) read.file = value;
    else if (name === "--mode" && !isSidecar) read.mode = value;
    else if (isSidecar) ignored.push(name);
    else return err(`unknown argument ${name}\n${USAGE}`);
  }
  const logLevel = parseLogLevel(read.logLevel);
  if (logLevel === undefined)
    return err(`"${read.logLevel}" is not a log level: trace, debug, info, warning, error, critical, off`);
  if (isSidecar) return ok({ kind: "sidecar", dnsDomain: read.dnsDomain, logLevel, ignored });
  return staticArguments(read.file, read.mode, logLevel);
}

function staticArguments(file: string, mode: string, logLevel: LogLevel): Result<Arguments, string> {
  if (file === "") return err(USAGE);
  if (mode !== "serve" && mode !== "validate") return err(`--mode is serve or validate, not "${mode}"\n${USAGE}`);
  return ok({ kind: mode === "validate" ? "validate" : "static", file, logLevel });
}

/** `--name=value`, `--name value` and bare `--name`. */
function readFlags(words: readonly string[]): readonly (readonly [string, string])[] {
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
