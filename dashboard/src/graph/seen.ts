// Calls that were seen since the page was opened: one that rests stays in its place, without a rate.

import { effect, signal } from "@preact/signals";
import type { GraphEdge } from "../../../src/dashboard/shapes.ts";
import { pulse } from "../live.ts";

const SEEN_MAX = 1_000;

export const seenEdges = signal<readonly GraphEdge[]>([]);

effect(() => {
  const now = pulse.value;
  if (now === undefined) return;
  const nodes = new Set(now.nodes.map(({ id }) => id));
  const current = new Map(now.edges.map((edge) => [keyOf(edge), edge]));
  const before = seenEdges
    .peek()
    .filter((edge) => !current.has(keyOf(edge)) && nodes.has(edge.from) && nodes.has(edge.to))
    .map((edge) => ({
      ...edge,
      rate: 0,
      requests: 0,
      errorShare: 0,
      refusedShare: 0,
      p50Ms: undefined,
      p99Ms: undefined,
    }));
  seenEdges.value = [...now.edges, ...before].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)).slice(0, SEEN_MAX);
});

function keyOf({ from, to, protocol }: GraphEdge): string {
  return `${from} ${to} ${protocol}`;
}
