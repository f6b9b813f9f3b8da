// Endpoint assignments by cluster, as versions of one map: what differs between two is found without looking at the rest.

import { deepEqual } from "../base/equal.ts";
import { VersionedMap } from "../base/versioned-map.ts";
import type { ClusterLoadAssignment } from "../proto/gen/envoy/config/endpoint/v3/endpoint.ts";

export type Assignments = ReadonlyMap<string, ClusterLoadAssignment>;

export const NO_ASSIGNMENTS: Assignments = VersionedMap.of([]);

/** Exactly these, in their order; what is equal stays the same value. */
export function assignments(list: readonly ClusterLoadAssignment[], before = NO_ASSIGNMENTS): Assignments {
  const kept = new Map(list.map((each) => [each.clusterName, current(before, each)]));
  return sameKeys(before, kept) ? VersionedMap.of(before).with(kept) : VersionedMap.of(kept);
}

/** These, and those of other clusters as they were. */
export function withAssignments(before: Assignments, list: readonly ClusterLoadAssignment[]): Assignments {
  return VersionedMap.of(before).with(list.map((each) => [each.clusterName, current(before, each)]));
}

function current(before: Assignments, newer: ClusterLoadAssignment): ClusterLoadAssignment {
  const older = before.get(newer.clusterName);
  return older !== undefined && deepEqual(older, newer) ? older : newer;
}

function sameKeys(one: Assignments, other: Assignments): boolean {
  if (one.size !== other.size) return false;
  const names = other.keys();
  for (const name of one.keys()) if (names.next().value !== name) return false;
  return true;
}
