// One request as a person reads it: every proxy that it passed, what happened there, and which line of which resource did it.

import type { AuthzDecision, RuleVerdict } from "../../analyze/authz.ts";
import { paint } from "../output.ts";
import { verdictText } from "../verdict-text.ts";
import type { SeenRequest } from "./collect.ts";
import { culprit } from "./hops.ts";
import type { Place } from "./place.ts";
import { calledOf, callerOf, codeText, durationText, isFailed } from "./words.ts";

export interface Hop {
  readonly seen: SeenRequest;
  readonly rule: Place | undefined;
  readonly cause: Place | undefined;
  /** Where it was refused by policies. */
  readonly authorization: AuthzDecision | undefined;
  /** Of its rules, each where it fails. */
  readonly rules: readonly Place[];
  /** What the control plane says of that proxy: empty where it runs what it was sent. */
  readonly configuration: string;
}

const VALUE_LINES_MAX = 14;

export async function explanationText(hops: readonly Hop[]): Promise<string> {
  const { stringify } = await import("yaml");
  const yaml = (value: unknown): readonly string[] => stringify(value, { lineWidth: 0 }).trimEnd().split("\n");
  const [first] = hops;
  if (first === undefined) return "";
  const { request, pod } = first.seen;
  const colour = isFailed(request) ? "red" : "green";
  const lines = [
    `${paint("bold", `${request.method} ${request.authority}${request.path}`.trim())}  ${paint(colour, codeText(request))}  ${durationText(request.durationMs)}`,
    field("request", request.requestId || "without an id"),
    field("time", new Date(request.startTimeMs).toISOString()),
    field("from", callerOf(pod, request)),
  ];
  const traceId = hops.map(({ seen }) => seen.request.traceId).find((id) => id !== "");
  if (traceId !== undefined) lines.push(field("trace", `weft traces get ${traceId}`));
  const guilty = culprit(hops.map(({ seen }) => seen));
  for (const [i, hop] of hops.entries()) {
    const mark = hop.seen === guilty ? paint("red", "  ← here") : "";
    const { direction } = hop.seen.request;
    const where = `${hop.seen.pod.name}.${hop.seen.pod.namespace}`;
    lines.push("", `${paint("bold", `${i + 1}. ${where}`)}  ${direction}${mark}`, ...hopText(hop, yaml));
  }
  return lines.join("\n");
}

function hopText(hop: Hop, yaml: (value: unknown) => readonly string[]): readonly string[] {
  const { pod, request } = hop.seen;
  const lines = [
    field(
      request.direction === "inbound" ? "caller" : "called",
      request.direction === "inbound" ? callerOf(pod, request) : calledOf(pod, request),
    ),
  ];
  if (request.route !== "" || request.cluster !== "")
    lines.push(field("route", [request.route, request.cluster && `to ${request.cluster}`].filter(Boolean).join(" ")));
  if (hop.rule !== undefined) lines.push(field("made of", placeText(hop.rule)));
  for (const [i, each] of request.failedTries.entries())
    lines.push(
      field(`try ${i + 1}`, `${each.host}  ${each.code === 0 ? each.reset : each.code}, over after ${each.endMs} ms`),
    );
  if (request.upstreamHost !== "")
    lines.push(field(request.tries > 1 ? `try ${request.tries}` : "host", request.upstreamHost));
  lines.push(field("answer", `${codeText(request)}  ${request.details}  ${durationText(request.durationMs)}`));
  if (request.cause !== "") lines.push(field("cause", paint("red", request.cause)));
  if (request.transportFailure !== "") lines.push(field("transport", request.transportFailure));
  if (hop.cause !== undefined) lines.push(field("", placeText(hop.cause)), ...valueText(hop.cause, yaml));
  else if (hop.rule !== undefined && request.cause !== "") lines.push(...valueText(hop.rule, yaml));
  if (hop.authorization !== undefined) lines.push(...policyLines(hop.authorization, hop.rules));
  if (hop.configuration !== "") lines.push(field("config", paint("yellow", hop.configuration)));
  return lines;
}

export function failingPath(rule: RuleVerdict): string {
  return rule.matches ? rule.path : `${rule.path}.${rule.field}`;
}

function field(name: string, value: string): string {
  return `   ${name.padEnd(10)} ${value}`;
}

function placeText({ resource, path, file, line, isChanged }: Place): string {
  const where = file === undefined ? "" : `  ${file}:${line}`;
  const changed = isChanged ? paint("yellow", "  (changed since it was applied)") : "";
  return `${[resource, path].filter(Boolean).join(" ")}${where}${changed}`;
}

function valueText({ value }: Place, yaml: (value: unknown) => readonly string[]): readonly string[] {
  if (value === undefined) return [];
  const lines = yaml(value);
  const shown = lines.slice(0, VALUE_LINES_MAX).map((text) => field("", paint("dim", `| ${text}`)));
  return lines.length > VALUE_LINES_MAX ? [...shown, field("", paint("dim", "| …"))] : shown;
}

function policyLines({ outcome, reason, policies }: AuthzDecision, places: readonly Place[]): readonly string[] {
  const lineOf = (resource: string, path: string): string => {
    const place = places.find((each) => each.resource === resource && each.path === path);
    return place?.file === undefined ? "" : `  ${place.file}:${place.line}`;
  };
  const lines = policies.flatMap(({ resource, action, rules }) => [
    field("policy", `${action}  ${resource}`),
    ...(rules.length === 0 ? [field("", "  no rules: matches nothing")] : []),
    ...rules.map((rule) => field("", `  ${verdictText(rule)}${lineOf(resource, failingPath(rule))}`)),
  ]);
  if (outcome === "denied") return lines;
  return [
    ...lines,
    field("now", `${outcome}: ${reason}. It was refused for a header or a token, or the policies were others then.`),
  ];
}
