// Log lines of a process: time, level, who speaks, what happened; as plain text or as one JSON object a line.
// A logging library would cost each sidecar 3 MB and 30 ms of its start.

import type { LogFormatter } from "./log-format.ts";

export const LOG_LEVELS = ["trace", "debug", "info", "warning", "error", "critical", "off"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warning(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export interface LogRootOptions {
  readonly level: LogLevel;
  readonly format: "plain" | "json" | LogFormatter;
  /** Takes whole lines, newline included. */
  readonly write: (line: string) => void;
  readonly wallMs: () => number;
}

/** All loggers of a process; their levels can be changed while it runs. */
export class LogRoot {
  readonly #options: LogRootOptions;
  readonly #levels = new Map<string, LogLevel>();
  #level: LogLevel;

  constructor(options: LogRootOptions) {
    this.#options = options;
    this.#level = options.level;
  }

  logger(scope: string): Log {
    if (!this.#levels.has(scope)) this.#levels.set(scope, this.#level);
    const at = (level: LogLevel) => (message: string, fields?: LogFields) =>
      this.#log(level, scope, { message, fields });
    return { debug: at("debug"), info: at("info"), warning: at("warning"), error: at("error") };
  }

  levels(): Readonly<Record<string, string>> {
    return Object.fromEntries([...this.#levels].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** False when there is no such logger or level. An empty scope sets all. */
  setLevel(scope: string, level: string): boolean {
    const known = parseLogLevel(level);
    if (known === undefined || (scope !== "" && !this.#levels.has(scope))) return false;
    if (scope === "") this.#level = known;
    for (const name of scope === "" ? this.#levels.keys() : [scope]) this.#levels.set(name, known);
    return true;
  }

  #log(
    level: LogLevel,
    scope: string,
    entry: { readonly message: string; readonly fields: LogFields | undefined },
  ): void {
    const threshold = this.#levels.get(scope) ?? this.#level;
    if (LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(threshold)) return;
    const { message, fields } = entry;
    const { format } = this.#options;
    const wallMs = this.#options.wallMs();
    if (typeof format === "function") {
      this.#options.write(format({ wallMs, level, scope, text: `${oneLine(message)}${plainFields(fields)}` }));
      return;
    }
    const time = new Date(wallMs).toISOString();
    if (format === "json") {
      this.#options.write(`${JSON.stringify({ time, level, scope, msg: message, ...fields })}\n`);
      return;
    }
    this.#options.write(`${time} ${level} ${scope}: ${oneLine(message)}${plainFields(fields)}\n`);
  }
}

/** Envoy's and Istio's words for levels; undefined for any other. */
export function parseLogLevel(text: string): LogLevel | undefined {
  const word = text === "warn" ? "warning" : text;
  return LOG_LEVELS.find((level) => level === word);
}

function plainFields(fields: LogFields | undefined): string {
  if (fields === undefined) return "";
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${oneLine(String(value))}`)
    .join("");
}

/** What comes from outside must not be able to forge a line. */
function oneLine(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f]/g, (character) => (character === "\n" ? "\\n" : "?"));
}
