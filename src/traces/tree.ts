// The spans of one trace as a tree: by their parents, with the two halves of a shared span one below the other.

import type { StoredSpan, TraceNode } from "./trace.ts";

interface Growing {
  readonly span: StoredSpan | undefined;
  readonly spanId: string;
  readonly children: Growing[];
}

/** One tree, whatever is missing: where nobody has reported the common parent there is a node without a span. */
export function treeOf(spans: readonly StoredSpan[]): TraceNode {
  const nodes = spans.map((span): Growing => ({ span, spanId: span.spanId, children: [] }));
  const owners = new Map<string, Growing>();
  const clients = new Map<string, Growing>();
  for (const node of nodes) {
    // Children of a shared span belong to its server's half, which was there when they were made.
    const known = owners.get(node.spanId);
    if (known === undefined || (known.span?.kind !== "server" && node.span?.kind === "server"))
      owners.set(node.spanId, node);
    if (node.span?.kind === "client") clients.set(node.spanId, node);
  }
  const roots: Growing[] = [];
  for (const node of nodes) {
    const parent = parentOf(node, owners, clients);
    if (parent === undefined || isBelow(parent, node)) roots.push(node);
    else parent.children.push(node);
  }
  const [only, ...more] = roots;
  if (only !== undefined && more.length === 0) return sorted(only);
  const parents = new Set(roots.map(({ span }) => span?.parentId ?? ""));
  const [common = ""] = parents;
  return sorted({ span: undefined, spanId: parents.size === 1 ? common : "", children: roots });
}

function parentOf(
  { span, spanId }: Growing,
  owners: ReadonlyMap<string, Growing>,
  clients: ReadonlyMap<string, Growing>,
): Growing | undefined {
  if (span === undefined) return undefined;
  const client = clients.get(spanId);
  if (span.kind === "server" && client !== undefined) return client;
  return span.parentId === undefined || span.parentId === spanId ? undefined : owners.get(span.parentId);
}

/** Spans whose parents lead back to them belong to nobody. */
function isBelow(parent: Growing, node: Growing): boolean {
  const waiting = [node];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (next === parent) return true;
    waiting.push(...next.children);
  }
  return false;
}

function sorted({ span, spanId, children }: Growing): TraceNode {
  return { span, spanId, children: children.map(sorted).sort((a, b) => startOf(a) - startOf(b)) };
}

function startOf({ span, children }: TraceNode): number {
  return span?.startUs ?? Math.min(...children.map(startOf));
}
