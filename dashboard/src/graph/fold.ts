// The graph as it is drawn: namespaces that are folded stand for all their services. Pure.

import type { GraphEdge, GraphNode, WireProtocol } from "../../../src/dashboard/shapes.ts";

export interface DrawnNode {
  readonly id: string;
  /** The namespace whose box it is in; a folded one stands outside. */
  readonly group: string | undefined;
  readonly label: string;
  readonly kind: GraphNode["kind"] | "namespace";
  /** Services that it stands for. */
  readonly size: number;
  readonly endpoints: number;
  readonly sidecars: number;
  readonly errors: number;
  readonly warnings: number;
}

export interface DrawnEdge {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly protocols: readonly WireProtocol[];
  readonly rate: number;
  readonly errorShare: number;
  readonly refusedShare: number;
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  readonly mtls: GraphEdge["mtls"];
  readonly requests: number;
}

export interface Drawn {
  readonly nodes: readonly DrawnNode[];
  readonly edges: readonly DrawnEdge[];
}

export interface FoldOptions {
  readonly folded: ReadonlySet<string>;
  /** Of these only; empty: of all. */
  readonly namespaces: ReadonlySet<string>;
  readonly showIdle: boolean;
}

export function fold(nodes: readonly GraphNode[], edges: readonly GraphEdge[], options: FoldOptions): Drawn {
  const { folded, namespaces, showIdle } = options;
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const isWanted = (id: string): boolean => namespaces.size === 0 || namespaces.has(byId.get(id)?.namespace ?? "");
  // A call that leaves what was chosen is still shown, with whom it reaches.
  const kept = edges.filter(({ from, to }) => isWanted(from) || isWanted(to));
  const busy = new Set(kept.flatMap(({ from, to }) => [from, to]));
  const shown = nodes.filter(({ id }) => busy.has(id) || (showIdle && isWanted(id)));
  const target = (id: string): string => {
    const namespace = byId.get(id)?.namespace ?? "";
    return folded.has(namespace) && namespace !== "" ? `${namespace}/` : id;
  };
  const drawn = [...Map.groupBy(shown, ({ id }) => target(id))].map(([id, group]) => drawnNode(id, group));
  const crossing = kept.filter(({ from, to }) => target(from) !== target(to) || from === to);
  const joined = [...Map.groupBy(crossing, ({ from, to }) => `${target(from)} ${target(to)}`)].flatMap(([, group]) =>
    group[0] === undefined ? [] : joinEdges(group, target(group[0].from), target(group[0].to)),
  );
  return { nodes: drawn, edges: joined };
}

function drawnNode(id: string, group: readonly GraphNode[]): DrawnNode {
  const sum = (of: (node: GraphNode) => number): number => group.reduce((total, node) => total + of(node), 0);
  const [first] = group;
  const isFolded = id.endsWith("/");
  const namespace = first?.namespace ?? "";
  return {
    id,
    group: isFolded || namespace === "" ? undefined : namespace,
    label: isFolded ? namespace : (first?.name ?? id),
    kind: isFolded ? "namespace" : (first?.kind ?? "outside"),
    size: group.length,
    endpoints: sum(({ endpoints }) => endpoints),
    sidecars: sum(({ sidecars }) => sidecars),
    errors: sum(({ errors }) => errors),
    warnings: sum(({ warnings }) => warnings),
  };
}

/** Rates add up; of latencies the worst is shown, since they can't be added. */
export function joinEdges(group: readonly GraphEdge[], from: string, to: string): DrawnEdge {
  const rate = group.reduce((sum, edge) => sum + edge.rate, 0);
  const requests = group.reduce((sum, edge) => sum + edge.requests, 0);
  const failures = group.reduce((sum, edge) => sum + edge.requests * edge.errorShare, 0);
  const refused = group.reduce((sum, edge) => sum + edge.requests * edge.refusedShare, 0);
  const security = new Set(group.map(({ mtls }) => mtls));
  return {
    id: `${from} ${to}`,
    from,
    to,
    protocols: [...new Set(group.map(({ protocol }) => protocol))].sort(),
    rate,
    requests,
    errorShare: requests === 0 ? 0 : failures / requests,
    refusedShare: requests === 0 ? 0 : refused / requests,
    p50Ms: worst(group.map(({ p50Ms }) => p50Ms)),
    p99Ms: worst(group.map(({ p99Ms }) => p99Ms)),
    mtls: security.size === 1 ? ([...security][0] ?? "unknown") : "some",
  };
}

function worst(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

export type Inbound = Pick<DrawnEdge, "rate" | "errorShare" | "refusedShare">;

/** What a node is asked, by everybody together. */
export function inboundOf(edges: readonly DrawnEdge[], id: string): Inbound {
  const own = edges.filter(({ to }) => to === id);
  const sum = (of: (edge: DrawnEdge) => number): number => own.reduce((total, edge) => total + of(edge), 0);
  const rate = sum((edge) => edge.rate);
  if (rate === 0) return { rate, errorShare: 0, refusedShare: 0 };
  return {
    rate,
    errorShare: sum((edge) => edge.rate * edge.errorShare) / rate,
    refusedShare: sum((edge) => edge.rate * edge.refusedShare) / rate,
  };
}
