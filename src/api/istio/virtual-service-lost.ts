// A merge patch replaces a whole list: says what a new `http` list no longer has.

import { canonicalJson } from "../../base/equal.ts";
import { type Issue, warningIssue } from "../issue.ts";
import type { HttpRoute, VirtualService } from "./virtual-service.ts";

const SETTINGS = [
  "match",
  "timeout",
  "retries",
  "fault",
  "corsPolicy",
  "headers",
  "rewrite",
  "mirror",
  "mirrors",
  "mirrorPercentage",
] as const;

type Setting = (typeof SETTINGS)[number];

/**
 * A rule of the stored object and one of the new object are the same rule when they have the same name, or the same
 * destinations whatever the weights. What such a rule lost, and no other new rule to these destinations has, is named.
 */
export function warnLostSettings(object: VirtualService, previous: VirtualService | undefined): readonly Issue[] {
  const before = previous?.spec.http;
  const after = object.spec.http;
  if (before === undefined || after === undefined || canonicalJson(before) === canonicalJson(after)) return [];
  return before.flatMap((old, i) => {
    const heirs = after.filter((route) => isSameRule(old, route));
    if (heirs.length === 0) return [];
    const index = after.indexOf(heirs[0] ?? old);
    const lost = SETTINGS.filter((name) => isSet(old, name) && heirs.every((heir) => !isSet(heir, name)));
    if (lost.length === 0) return [];
    const details = lost.map((name) => describe(old, name)).join(", ");
    const message =
      `no longer has ${details}, which spec.http[${i}] had: ` +
      "a merge patch replaces the whole list, so write every field of the rule that is to stay";
    return [warningIssue(`spec.http[${index}]`, message)];
  });
}

function isSet(route: HttpRoute, name: Setting): boolean {
  return route[name] !== undefined;
}

function isSameRule(old: HttpRoute, route: HttpRoute): boolean {
  if (old.name !== undefined && old.name === route.name) return true;
  const key = destinations(old);
  return key !== "" && key === destinations(route);
}

function destinations(route: HttpRoute): string {
  return (route.route ?? [])
    .map(({ destination }) => `${destination.host}|${destination.subset ?? ""}|${destination.port?.number ?? ""}`)
    .sort()
    .join(" ");
}

/** `timeout 10s`, `retries (attempts, perTryTimeout)`, `match`. */
function describe(route: HttpRoute, name: Setting): string {
  const value = route[name];
  if (typeof value === "string") return `${name} ${value}`;
  if (typeof value !== "object" || Array.isArray(value)) return name;
  const keys = Object.keys(value);
  return keys.length === 0 ? name : `${name} (${keys.join(", ")})`;
}
