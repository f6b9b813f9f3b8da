// Checks that several kinds share: durations, host names, patterns, exactly-one-of.

import { compilePattern } from "../../base/pattern.ts";
import { errorIssue, type Issue } from "../issue.ts";
import { isDnsLabel } from "../names.ts";

const DURATION_UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds of Go's duration text, or undefined where it isn't one. */
export function parseDurationMs(text: string): number | undefined {
  if (text === "0") return 0;
  if (!/^[+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))*$/.test(text))
    return undefined;
  const sign = text.startsWith("-") ? -1 : 1;
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h)/g)) {
    totalMs += Number(amount) * (DURATION_UNIT_MS[unit ?? ""] ?? 0);
  }
  return sign * totalMs;
}

export function checkDuration(text: string | undefined, path: string, minMs = 1): readonly Issue[] {
  if (text === undefined) return [];
  const valueMs = parseDurationMs(text);
  if (valueMs === undefined) return [errorIssue(path, `${quote(text)} is not a duration; write it like 10s or 250ms`)];
  if (valueMs < minMs) return [errorIssue(path, `must be a valid duration greater than or equal to ${minMs}ms`)];
  return [];
}

const LABEL = /^[a-zA-Z0-9_]([-a-zA-Z0-9_]{0,61}[a-zA-Z0-9_])?$/;

/** A short name, an FQDN, or (where allowed) a name whose first label is `*`. */
export function checkHost(host: string, path: string, options: { readonly wildcard: boolean }): readonly Issue[] {
  if (host === "") return [errorIssue(path, "must not be empty", "required")];
  if (host.length > 255) return [errorIssue(path, "must be at most 255 characters")];
  if (host === "*") return options.wildcard ? [] : [errorIssue(path, "must name a host, not *")];
  const labels = host.split(".");
  const rest = labels[0] === "*" && options.wildcard ? labels.slice(1) : labels;
  if (rest.length > 0 && rest.every((label) => LABEL.test(label))) return [];
  return [
    errorIssue(path, `${quote(host)} is not a host name${options.wildcard ? " or a wildcard like *.example.com" : ""}`),
  ];
}

export function checkRegex(pattern: string, path: string): readonly Issue[] {
  const compiled = compilePattern(pattern);
  if (compiled.ok) return [];
  return [errorIssue(path, `${quote(pattern)} is not a regular expression that RE2 understands: ${compiled.error}`)];
}

export function checkPort(port: number | undefined, path: string): readonly Issue[] {
  if (port === undefined || (port >= 1 && port <= 65_535)) return [];
  return [errorIssue(path, "port must be between 1-65535")];
}

/** At most one of the named fields of an object may be set. */
export function checkAtMostOne(value: object, fields: readonly string[], path: string): readonly Issue[] {
  const present = fields.filter((field) => Reflect.get(value, field) !== undefined);
  if (present.length <= 1) return [];
  return [errorIssue(path, `only one of ${present.join(", ")} may be set`)];
}

/** What a policy is for is said in one way. */
export function checkOneTarget(
  spec: { readonly selector?: unknown; readonly targetRef?: unknown; readonly targetRefs?: unknown } | undefined,
): readonly Issue[] {
  const given = [spec?.selector, spec?.targetRef, spec?.targetRefs].filter((target) => target !== undefined);
  return given.length > 1 ? [errorIssue("spec", "only one of targetRefs or selector can be set")] : [];
}

export function checkRange(
  value: number | undefined,
  path: string,
  range: { readonly min: number; readonly max: number },
): readonly Issue[] {
  if (value === undefined || (value >= range.min && value <= range.max)) return [];
  return [errorIssue(path, `Invalid value: ${value}: must be from ${range.min} to ${range.max}`)];
}

/** Namespaces, `.` for the resource's own, `*` for all; `~` alone for none. */
export function checkExportTo(exportTo: readonly string[] | undefined, path: string): readonly Issue[] {
  const all = exportTo ?? [];
  return all.flatMap((to, i) => {
    if (to === "*" && all.length > 1) return [errorIssue(`${path}[${i}]`, "* must stand alone")];
    if (to === "~" && all.length > 1) return [errorIssue(`${path}[${i}]`, "~ must stand alone")];
    if (all.indexOf(to) < i) return [errorIssue(`${path}[${i}]`, `${quote(to)} is named twice`, "duplicate")];
    if (to === "." || to === "*" || to === "~" || isDnsLabel(to)) return [];
    return [errorIssue(`${path}[${i}]`, `${quote(to)} is not a namespace, ".", "*" or "~"`)];
  });
}

export function quote(text: string): string {
  return JSON.stringify(text);
}
