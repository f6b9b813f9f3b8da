// Rules of locality load balancing, which DestinationRule and MeshConfig share.

import type { Static } from "typebox";
import { errorIssue, type Issue } from "../issue.ts";
import { isQualifiedName } from "../names.ts";
import { quote } from "./rules.ts";
import type { localityLbSetting } from "./traffic.ts";

export type LocalityLbSetting = Static<typeof localityLbSetting>;

const SHARES_TOTAL = 100;

/** `detects`: whether outlier detection is there, without which no endpoint is ever given up for another place's. */
export function checkLocality(value: LocalityLbSetting | undefined, path: string, detects: boolean): readonly Issue[] {
  if (value === undefined) return [];
  const { distribute = [], failover = [], failoverPriority = [] } = value;
  const issues: Issue[] = [];
  if (distribute.length > 0 && failover.length + failoverPriority.length > 0) {
    issues.push(errorIssue(path, "distribute must not be set together with failover or failoverPriority"));
  }
  if (failover.length + failoverPriority.length > 0 && !detects) {
    issues.push(errorIssue(path, "failover needs outlierDetection beside it: nothing else finds endpoints to give up"));
  }
  distribute.forEach((each, i) => {
    issues.push(...checkDistribute(each, `${path}.distribute[${i}]`));
  });
  issues.push(
    ...checkOverlap(
      distribute.map(({ from = "" }) => from),
      `${path}.distribute`,
    ),
  );
  failover.forEach(({ from = "", to = "" }, i) => {
    const at = `${path}.failover[${i}]`;
    issues.push(...checkRegion(from, `${at}.from`), ...checkRegion(to, `${at}.to`));
    if (from === to) issues.push(errorIssue(at, "must name two different regions"));
  });
  failoverPriority.forEach((each, i) => {
    const [name = ""] = each.split("=");
    const at = `${path}.failoverPriority[${i}]`;
    if (!isQualifiedName(name)) issues.push(errorIssue(at, `${quote(name)} is not a label's name`));
    if (failoverPriority.findIndex((other) => other.split("=")[0] === name) < i)
      issues.push(errorIssue(at, `duplicate label ${quote(name)}`, "duplicate"));
  });
  return issues;
}

function checkDistribute(
  { from = "", to = {} }: NonNullable<LocalityLbSetting["distribute"]>[number],
  path: string,
): readonly Issue[] {
  const issues: Issue[] = [...checkPattern(from, `${path}.from`)];
  const places = Object.entries(to);
  for (const [place, share] of places) {
    issues.push(...checkPattern(place, `${path}.to[${place}]`));
    if (share < 1 || share > SHARES_TOTAL)
      issues.push(errorIssue(`${path}.to[${place}]`, `must be from 1 to ${SHARES_TOTAL}`));
  }
  issues.push(
    ...checkOverlap(
      places.map(([place]) => place),
      `${path}.to`,
    ),
  );
  const total = places.reduce((sum, [, share]) => sum + share, 0);
  if (total !== SHARES_TOTAL) issues.push(errorIssue(`${path}.to`, `the shares make ${total}, not ${SHARES_TOTAL}`));
  return issues;
}

/** `region`, `region/zone`, `region/zone/subzone`; a `*` ends it. */
function checkPattern(pattern: string, path: string): readonly Issue[] {
  const steps = pattern.split("/");
  const star = steps.indexOf("*");
  const fine = steps.length <= 3 && steps.every((step) => step !== "") && (star < 0 || star === steps.length - 1);
  if (fine) return [];
  return [errorIssue(path, `${quote(pattern)} is not a locality; write region/zone/subzone, as far as it matters`)];
}

function checkRegion(region: string, path: string): readonly Issue[] {
  if (region !== "" && !/[*/]/.test(region)) return [];
  return [errorIssue(path, `${quote(region)} is not a region; zones and wildcards are not meant here`)];
}

function checkOverlap(patterns: readonly string[], path: string): readonly Issue[] {
  return patterns.flatMap((pattern, i) =>
    patterns
      .slice(0, i)
      .filter((other) => covers(other, pattern) || covers(pattern, other))
      .map((other) => errorIssue(path, `${quote(other)} and ${quote(pattern)} overlap`)),
  );
}

/** Whether a locality, or every locality of a pattern, is within a pattern. */
export function covers(pattern: string, locality: string): boolean {
  const steps = locality.split("/");
  return pattern.split("/").every((step, i) => step === "*" || step === "" || step === (steps[i] ?? ""));
}
