// What a mesh resource's status says: accepted, resolved, in conflict, and how many proxies run it. Pure.

import type { Issue } from "../api/issue.ts";
import type { Condition } from "../api/object.ts";
import { deepEqual } from "../base/equal.ts";
import type { Finding } from "../model/finding.ts";
import { FINDINGS_LISTED_MAX, MESSAGE_LENGTH_MAX } from "./limits.ts";

export interface Programming {
  readonly concerned: number;
  readonly programmed: number;
  /** `PROXY: message` of those that refused. */
  readonly refusals: readonly string[];
}

export interface StatusInput {
  readonly generation: number | undefined;
  readonly warnings: readonly Issue[];
  readonly findings: readonly Finding[];
  readonly programming: Programming | undefined;
}

type Draft = Omit<Condition, "lastTransitionTime" | "observedGeneration">;

export function draftConditions(input: StatusInput): readonly Draft[] {
  const conflicts = input.findings.filter((finding) => finding.type === "conflict");
  const references = input.findings.filter((finding) => finding.type === "reference");
  const ignored = input.findings.filter((finding) => finding.type === "ignored");
  const whole = conflicts.some((finding) => !finding.path.includes(".") || finding.path.startsWith("spec.hosts"));
  const notes = [...input.warnings.map(textOf), ...ignored.map(textOf)];
  const drafts: Draft[] = [
    {
      type: "Accepted",
      status: whole ? "False" : "True",
      reason: whole ? "Conflicted" : notes.length > 0 ? "AcceptedWithWarnings" : "Accepted",
      message: join([...(whole ? conflicts.map(textOf) : []), ...notes]),
    },
    {
      type: "ResolvedRefs",
      status: references.length > 0 ? "False" : "True",
      reason: references.length > 0 ? "ReferenceNotFound" : "ResolvedRefs",
      message: join(references.map(textOf)),
    },
  ];
  if (conflicts.length > 0) {
    drafts.push({
      type: "Conflicted",
      status: "True",
      reason: "OlderResourceWins",
      message: join(conflicts.map(textOf)),
    });
  }
  if (input.programming !== undefined) drafts.push(programmedDraft(input.programming));
  return drafts;
}

function programmedDraft({ concerned, programmed, refusals }: Programming): Draft {
  const message = join([`${programmed} of ${concerned} proxies run it`, ...refusals]);
  if (refusals.length > 0) return { type: "Programmed", status: "False", reason: "Refused", message };
  if (programmed < concerned) return { type: "Programmed", status: "False", reason: "Pending", message };
  return { type: "Programmed", status: "True", reason: concerned === 0 ? "NoProxies" : "Programmed", message };
}

const OWN: ReadonlySet<string> = new Set(["Accepted", "ResolvedRefs", "Conflicted", "Programmed"]);

/** The drafts with times, or undefined when the stored conditions say the same already. */
export function mergeConditions(
  stored: readonly Condition[],
  drafts: readonly Draft[],
  at: { readonly time: string; readonly generation: number | undefined },
  own: ReadonlySet<string> = OWN,
): readonly Condition[] | undefined {
  const next = drafts.map((draft): Condition => {
    const before = stored.find((each) => each.type === draft.type);
    const time = before !== undefined && before.status === draft.status ? before.lastTransitionTime : at.time;
    const generation = at.generation === undefined ? {} : { observedGeneration: at.generation };
    return { ...draft, lastTransitionTime: time, ...generation };
  });
  const foreign = stored.filter((each) => !own.has(each.type));
  const merged = [...next, ...foreign];
  return deepEqual(sorted(stored), sorted(merged)) ? undefined : merged;
}

function sorted(conditions: readonly Condition[]): readonly Condition[] {
  return [...conditions].sort((a, b) => (a.type < b.type ? -1 : 1));
}

function textOf(finding: Pick<Finding, "path" | "message">): string {
  return finding.path === "" ? finding.message : `${finding.path}: ${finding.message}`;
}

function join(texts: readonly string[]): string {
  const listed = texts.slice(0, FINDINGS_LISTED_MAX);
  if (texts.length > listed.length) listed.push(`and ${texts.length - listed.length} more`);
  return listed.join("; ").slice(0, MESSAGE_LENGTH_MAX);
}
