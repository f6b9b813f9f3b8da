// What the control plane and the analysis say about a resource.

import type { ResourceCondition, ResourceFinding } from "../../../src/dashboard/shapes.ts";
import { Badge, type Tone } from "./state.tsx";

/** Of a conflict, true is bad; of the others, false. */
export function toneOf({ type, status, reason }: ResourceCondition): Tone {
  if (type === "Conflicted") return status === "True" ? "bad" : "good";
  if (status === "True") return reason === "AcceptedWithWarnings" ? "warn" : "good";
  return reason === "Pending" || status === "Unknown" ? "warn" : "bad";
}

export function ConditionBadges({ conditions }: { readonly conditions: readonly ResourceCondition[] }) {
  return (
    <span class="badges">
      {conditions.map((condition) => (
        <span
          key={condition.type}
          title={`${condition.reason}${condition.message === "" ? "" : `: ${condition.message}`}`}
        >
          <Badge tone={toneOf(condition)}>{wordOf(condition)}</Badge>
        </span>
      ))}
    </span>
  );
}

function wordOf({ type, status, message, reason }: ResourceCondition): string {
  if (type === "Programmed" && reason !== "NoProxies") return /^(\d+ of \d+) proxies/.exec(message)?.[1] ?? type;
  return status === "True" ? type : `not ${type}`;
}

const TONES = { Error: "bad", Warning: "warn", Info: "plain" } as const;

export function FindingList({ findings }: { readonly findings: readonly ResourceFinding[] }) {
  if (findings.length === 0) return null;
  return (
    <ul class="findings">
      {findings.map((each) => (
        <li key={`${each.code} ${each.path} ${each.message}`}>
          <p>
            <Badge tone={TONES[each.severity]}>{each.severity}</Badge> <span class="code">{each.code}</span> {each.name}
          </p>
          {each.path !== "" && <p class="code path-text">{each.path}</p>}
          <p>{each.message}</p>
          {each.next !== "" && <p class="next">{each.next}</p>}
        </li>
      ))}
    </ul>
  );
}
