// Which of some requests that were seen would be answered otherwise under other policies. Pure.

import { selecting } from "../model/by-namespace.ts";
import { decide } from "./authz.ts";
import type { AuthzCall } from "./authz-clause.ts";
import { modeOf } from "./peer.ts";
import type { Workload, World } from "./world.ts";

/** A request, and the pod that it came to. */
export interface SeenCall {
  readonly namespace: string;
  readonly pod: string;
  readonly call: AuthzCall;
  /** What became of it. */
  readonly refused: boolean;
}

type Outcome = "allowed" | "denied" | "ask";

export interface AuthzChange {
  /** The caller's principal; empty: it had none. */
  readonly from: string;
  readonly to: string;
  readonly port: number;
  readonly method: string;
  readonly path: string;
  readonly before: Outcome;
  readonly after: Outcome;
  /** Why it would be answered so. */
  readonly reason: string;
  readonly times: number;
}

export interface AuthzDiff {
  /** Those that would be refused first, then by how often. */
  readonly changes: readonly AuthzChange[];
  readonly same: number;
  /** Answered otherwise than today's policies say of what is known of them: they had headers or tokens that nobody kept. */
  readonly unsure: number;
  /** Whose pod is gone. */
  readonly lost: number;
}

export function diffCalls(before: World, after: World, calls: readonly SeenCall[]): AuthzDiff {
  const changes = new Map<string, AuthzChange>();
  const counts = { same: 0, unsure: 0, lost: 0 };
  for (const seen of calls) {
    const change = changeOf(before, after, seen);
    if (typeof change === "string") {
      counts[change] += 1;
      continue;
    }
    const { from, to, port, method, path, after: outcome } = change;
    const key = JSON.stringify([from, to, port, method, path, outcome]);
    const known = changes.get(key);
    changes.set(key, known === undefined ? change : { ...known, times: known.times + 1 });
  }
  const rank = ({ after: outcome }: AuthzChange): number => (outcome === "denied" ? 0 : 1);
  return { changes: [...changes.values()].sort((a, b) => rank(a) - rank(b) || b.times - a.times), ...counts };
}

function changeOf(before: World, after: World, seen: SeenCall): AuthzChange | "same" | "unsure" | "lost" {
  const { namespace, pod, call, refused } = seen;
  const now = judge(before, seen);
  const then = judge(after, seen);
  if (now === undefined || then === undefined) return "lost";
  if ((now.outcome === "denied") !== refused) return "unsure";
  if (now.outcome === then.outcome) return "same";
  return {
    from: call.principal ?? "",
    to: `${pod}.${namespace}`,
    port: call.port,
    method: call.method,
    path: call.path,
    before: now.outcome,
    after: then.outcome,
    reason: then.reason,
    times: 1,
  };
}

function judge(world: World, { namespace, pod, call }: SeenCall): { outcome: Outcome; reason: string } | undefined {
  const workload = world.pods.find(({ resource }) => resource.namespace === namespace && resource.name === pod);
  if (workload === undefined) return undefined;
  if (call.principal === undefined && isStrict(world, workload, call.port)) {
    return { outcome: "denied", reason: `the caller has no mesh certificate, and port ${call.port} is STRICT` };
  }
  const { authorization, mesh } = world.snapshot;
  return decide(selecting(authorization, workload, mesh), call, mesh);
}

function isStrict(world: World, workload: Workload, port: number): boolean {
  return modeOf(world, workload, port).mode === "STRICT";
}
