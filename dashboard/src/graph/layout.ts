// Where everything stands: dagre's ranks, boxes of namespaces, and lines as points. Pure.

import dagre from "@dagrejs/dagre";
import type { Drawn, DrawnEdge, DrawnNode } from "./fold.ts";

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Box extends Point {
  readonly width: number;
  readonly height: number;
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  /** Centres, by node. */
  readonly nodes: ReadonlyMap<string, Box>;
  readonly groups: ReadonlyMap<string, Box>;
  readonly edges: ReadonlyMap<string, LaidEdge>;
}

export interface LaidEdge {
  readonly path: string;
  readonly label: Point;
  /** Evenly along the line, for what moves on it. */
  readonly track: readonly Point[];
}

export const NODE_WIDTH = 172;
export const NODE_HEIGHT = 56;
const LABEL_WIDTH = 120;
const LABEL_HEIGHT = 42;
/** Of more lines than these only those of the chosen service carry their figures. */
export const LABELLED_MAX = 60;
const GROUP = "namespace:";

export type Direction = "LR" | "TB";

export function layOut({ nodes, edges }: Drawn, direction: Direction): Layout {
  const graph = new dagre.graphlib.Graph({ compound: true, multigraph: false });
  const isCrowded = edges.length > LABELLED_MAX;
  graph.setGraph({
    rankdir: direction,
    nodesep: 26,
    ranksep: direction === "LR" ? 40 : 36,
    edgesep: 18,
    marginx: 20,
    marginy: 20,
    // The better one takes a second for a hundred lines.
    ranker: isCrowded ? "tight-tree" : "network-simplex",
  });
  graph.setDefaultEdgeLabel(() => ({}));
  addNodes(graph, nodes);
  addEdges(graph, edges, isCrowded ? {} : { width: LABEL_WIDTH, height: LABEL_HEIGHT, labelpos: "c" });
  dagre.layout(graph);
  const { width = 0, height = 0 } = graph.graph();
  return {
    width: Math.max(width, NODE_WIDTH),
    height: Math.max(height, NODE_HEIGHT),
    nodes: new Map(nodes.map(({ id }) => [id, boxOf(graph.node(id))])),
    groups: new Map(groupsOf(nodes).map((group) => [group, boxOf(graph.node(GROUP + group))])),
    edges: new Map(edges.map((edge) => [edge.id, laidEdge(graph, edge)])),
  };
}

type Graph = InstanceType<typeof dagre.graphlib.Graph>;

function groupsOf(nodes: readonly DrawnNode[]): readonly string[] {
  return [...new Set(nodes.flatMap(({ group }) => group ?? []))].sort();
}

function addNodes(graph: Graph, nodes: readonly DrawnNode[]): void {
  for (const group of groupsOf(nodes)) graph.setNode(GROUP + group, {});
  for (const { id, group } of nodes) {
    graph.setNode(id, { width: NODE_WIDTH, height: NODE_HEIGHT });
    if (group !== undefined) graph.setParent(id, GROUP + group);
  }
}

function addEdges(graph: Graph, edges: readonly DrawnEdge[], label: object): void {
  for (const { from, to } of edges) graph.setEdge(from, to, { ...label });
}

function boxOf(node: {
  readonly x?: number;
  readonly y?: number;
  readonly width?: number;
  readonly height?: number;
}): Box {
  return { x: node.x ?? 0, y: node.y ?? 0, width: node.width ?? 0, height: node.height ?? 0 };
}

function laidEdge(graph: Graph, { from, to }: DrawnEdge): LaidEdge {
  const laid: { readonly points?: readonly Point[]; readonly x?: number; readonly y?: number } =
    graph.edge(from, to) ?? {};
  const points = laid.points ?? [];
  const middle = points[Math.floor(points.length / 2)] ?? { x: 0, y: 0 };
  return { path: pathOf(points), label: { x: laid.x ?? middle.x, y: laid.y ?? middle.y }, track: trackOf(points) };
}

/** Rounded corners: each point in between pulls the line towards itself. */
export function pathOf(points: readonly Point[]): string {
  const [first, ...rest] = points;
  const last = points.at(-1);
  if (first === undefined || last === undefined) return "";
  const bends = rest.slice(0, -1).map((point, index) => {
    const next = rest[index + 1] ?? point;
    const end = index === rest.length - 2 ? next : middle(point, next);
    return `Q${text(point)} ${text(end)}`;
  });
  return bends.length === 0 ? `M${text(first)}L${text(last)}` : `M${text(first)}${bends.join("")}`;
}

const STEPS = 12;

export function trackOf(points: readonly Point[]): readonly Point[] {
  const [first, ...rest] = points;
  if (first === undefined) return [];
  const track: Point[] = [first];
  let from = first;
  for (const [index, point] of rest.slice(0, -1).entries()) {
    const next = rest[index + 1] ?? point;
    const end = index === rest.length - 2 ? next : middle(point, next);
    for (let step = 1; step <= STEPS; step += 1) track.push(bend([from, point, end], step / STEPS));
    from = end;
  }
  if (rest.length === 1 && rest[0] !== undefined) track.push(rest[0]);
  return evenly(track);
}

/** As many points as the line is long, at one distance from each other. */
function evenly(track: readonly Point[]): readonly Point[] {
  const even: Point[] = [];
  let left = 0;
  for (const [index, point] of track.entries()) {
    const before = track[index - 1];
    if (before === undefined) continue;
    const length = Math.hypot(point.x - before.x, point.y - before.y);
    for (let at = left; at < length; at += TRACK_STEP) {
      const share = length === 0 ? 0 : at / length;
      even.push({ x: before.x + (point.x - before.x) * share, y: before.y + (point.y - before.y) * share });
    }
    left = (left - length) % TRACK_STEP;
    if (left < 0) left += TRACK_STEP;
  }
  return even;
}

/** Pixels between two points of a track. */
export const TRACK_STEP = 2;

function bend([a, b, c]: readonly [Point, Point, Point], t: number): Point {
  const u = 1 - t;
  return { x: u * u * a.x + 2 * u * t * b.x + t * t * c.x, y: u * u * a.y + 2 * u * t * b.y + t * t * c.y };
}

function middle(one: Point, other: Point): Point {
  return { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 };
}

function text({ x, y }: Point): string {
  return `${Math.round(x * 10) / 10},${Math.round(y * 10) / 10}`;
}
