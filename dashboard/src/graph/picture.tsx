// The picture: boxes of namespaces, services, lines with their figures, and dots that run along them.

import type { Signal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { count, milliseconds, rate, share } from "../format.ts";
import { Icon, type IconName } from "../parts/icon.tsx";
import { type Camera, fitted, type Size, useCamera, zoomed } from "./camera.ts";
import { animateDots, type Scene } from "./dots.ts";
import { type Drawn, type DrawnEdge, type DrawnNode, type Inbound, inboundOf } from "./fold.ts";
import { type Box, type Direction, LABELLED_MAX, type LaidEdge, layOut, NODE_HEIGHT, NODE_WIDTH } from "./layout.ts";
import { MTLS_WORDS } from "./table.tsx";

interface Props {
  readonly drawn: Drawn;
  readonly selected: string | undefined;
  readonly onOpen: (id: string) => void;
  readonly onFold: (namespace: string) => void;
}

const NARROW_PX = 640;

export function Picture({ drawn, selected, onOpen, onFold }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const direction: Direction = innerWidth < NARROW_PX ? "TB" : "LR";
  const shape = shapeOf(drawn, direction);
  // Figures change every moment, places only with what there is.
  const layout = useMemo(() => layOut(drawn, direction), [shape]);
  const { camera, size } = useCamera(frame, layout);
  const scene = useRef<Scene>(undefined);
  scene.current = { layout, edges: drawn.edges, camera: camera.value, size: size.value };
  useEffect(() => {
    if (canvas.current === null) return;
    return animateDots(canvas.current, () => ({
      ...(scene.current ?? { layout, edges: [], size: size.peek() }),
      camera: camera.peek(),
    }));
  }, []);
  const { x, y, scale } = camera.value;
  const transform = `translate(${x} ${y}) scale(${scale})`;
  return (
    <div class="picture" ref={frame}>
      <svg class="graph" aria-hidden="true">
        <defs>
          <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
            <path d="M0 0.5L8 4L0 7.5z" />
          </marker>
        </defs>
        <g transform={transform}>
          {[...layout.groups].map(([name, box]) => (
            <rect key={name} class="group" {...cornerOf(box)} width={box.width} height={box.height} rx="12" />
          ))}
          {drawn.edges.map((edge) => (
            <Stroke key={edge.id} edge={edge} laid={layout.edges.get(edge.id)} isFar={isFar(edge, selected)} />
          ))}
        </g>
      </svg>
      {/* Between the lines and what is written: dots run below the words. */}
      <canvas ref={canvas} />
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset is no picture */}
      <svg class="graph" role="group" aria-label="Who calls whom. The table shows the same as text.">
        <g transform={transform}>
          {[...layout.groups].map(([name, box]) => (
            <GroupName key={name} name={name} box={box} onFold={onFold} />
          ))}
          {labelled(drawn.edges, selected).map((edge) => (
            <EdgeLabel key={edge.id} edge={edge} laid={layout.edges.get(edge.id)} isFar={isFar(edge, selected)} />
          ))}
          {drawn.nodes.map((node) => (
            <Node
              key={node.id}
              node={node}
              box={layout.nodes.get(node.id)}
              edges={drawn.edges}
              isSelected={node.id === selected}
              onOpen={onOpen}
            />
          ))}
        </g>
      </svg>
      <Zoom camera={camera} size={size} layout={layout} />
    </div>
  );
}

function shapeOf({ nodes, edges }: Drawn, direction: Direction): string {
  return [direction, ...nodes.map(({ id }) => id), ...edges.map(({ id }) => id)].join("\n");
}

function cornerOf(box: Box): { readonly x: number; readonly y: number } {
  return { x: box.x - box.width / 2, y: box.y - box.height / 2 };
}

function labelled(edges: readonly DrawnEdge[], selected: string | undefined): readonly DrawnEdge[] {
  if (edges.length <= LABELLED_MAX) return edges;
  return edges.filter((edge) => selected !== undefined && !isFar(edge, selected));
}

function isFar(edge: DrawnEdge, selected: string | undefined): boolean {
  return selected !== undefined && edge.from !== selected && edge.to !== selected;
}

function GroupName({
  name,
  box,
  onFold,
}: {
  readonly name: string;
  readonly box: Box;
  readonly onFold: Props["onFold"];
}) {
  const { x, y } = cornerOf(box);
  const fold = (): void => onFold(name);
  return (
    // biome-ignore lint/a11y/useSemanticElements: SVG has no button
    <g
      class="group-name"
      role="button"
      tabindex={0}
      aria-label={`Fold namespace ${name}`}
      onClick={fold}
      onKeyDown={onEnter(fold)}
    >
      <rect x={x + 12} y={y - 11} width={name.length * 7.6 + 38} height="22" rx="11" />
      <path d={`M${x + 22} ${y - 2}l4 4l4 -4`} />
      <text x={x + 36} y={y + 4}>
        {name}
      </text>
    </g>
  );
}

function toneOf({ rate: perSecond, errorShare, refusedShare }: Inbound): string {
  if (perSecond === 0) return "idle";
  if (errorShare >= 0.05) return "bad";
  return errorShare > 0.001 || refusedShare > 0.5 ? "warn" : "good";
}

interface LineProps {
  readonly edge: DrawnEdge;
  readonly laid: LaidEdge | undefined;
  readonly isFar: boolean;
}

function Stroke({ edge, laid, isFar: far }: LineProps) {
  const width = Math.min(4, 1.25 + Math.log10(1 + edge.rate));
  return (
    <g class={`line ${toneOf(edge)}${far ? " far" : ""}`}>
      <path class="stroke" d={laid?.path ?? ""} stroke-width={width} marker-end="url(#arrow)" />
    </g>
  );
}

function EdgeLabel({ edge, laid, isFar: far }: LineProps) {
  if (laid === undefined || edge.rate === 0) return null;
  const { x, y } = laid.label;
  const protocols = edge.protocols.join(", ");
  const [word, tone] = secondWord(edge);
  return (
    <g class={`label ${tone}${far ? " far" : ""}`} transform={`translate(${x} ${y})`}>
      <title>
        {`${protocols}, ${MTLS_WORDS[edge.mtls]}, ${rate(edge.rate)}, ${share(edge.errorShare)} errors, ${share(edge.refusedShare)} refused, p50 ${milliseconds(edge.p50Ms)}, p99 ${milliseconds(edge.p99Ms)}`}
      </title>
      <rect x="-56" y="-18" width="112" height="36" rx="8" />
      <Lock mtls={edge.mtls} />
      <text class="figure-text" x="-35" y="-3">
        {protocols === "http" ? rate(edge.rate) : `${rate(edge.rate)} ${protocols}`}
      </text>
      <text class="small-text" x="-35" y="12">
        {word}
      </text>
    </g>
  );
}

/** The worst that there is to say: errors, then refusals, else how slow it is. */
function secondWord(edge: DrawnEdge): readonly [string, string] {
  if (edge.errorShare > 0) return [`${share(edge.errorShare)} errors`, "bad"];
  if (edge.refusedShare > 0) return [`${share(edge.refusedShare)} refused`, "warn"];
  return [edge.p99Ms === undefined ? "" : `p99 ${milliseconds(edge.p99Ms)}`, "good"];
}

function Lock({ mtls }: Pick<DrawnEdge, "mtls">) {
  if (mtls === "unknown") return null;
  const isClosed = mtls === "all";
  return (
    <g class={isClosed ? "lock closed" : "lock open"} transform="translate(-50 -15)">
      <path d={isClosed ? "M3 6V4.5a2.5 2.5 0 0 1 5 0V6M2 6h7v6H2z" : "M3 6V4.5a2.5 2.5 0 0 1 4.8-1M2 6h7v6H2z"} />
    </g>
  );
}

interface NodeProps {
  readonly node: DrawnNode;
  readonly box: Box | undefined;
  readonly edges: readonly DrawnEdge[];
  readonly isSelected: boolean;
  readonly onOpen: (id: string) => void;
}

function Node({ node, box, edges, isSelected, onOpen }: NodeProps) {
  if (box === undefined) return null;
  const inbound = inboundOf(edges, node.id);
  const canOpen = node.kind === "service" || node.kind === "external" || node.kind === "namespace";
  const open = (): void => {
    if (canOpen) onOpen(node.id);
  };
  const second = secondLine(node, inbound);
  const classes = ["node", node.kind, toneOf(inbound), isSelected ? "selected" : "", canOpen ? "opens" : ""].join(" ");
  const shape = (
    <>
      <rect width={NODE_WIDTH} height={NODE_HEIGHT} rx="9" />
      <path class="edge-mark" d={`M9 0H5a5 5 0 0 0 -5 5V${NODE_HEIGHT - 5}a5 5 0 0 0 5 5H9z`} />
      <text class="name" x="18" y="24">
        {shortened(node.label)}
      </text>
      <text class="second" x="18" y="42">
        {second}
      </text>
      <Mark node={node} />
    </>
  );
  const place = `translate(${box.x - NODE_WIDTH / 2} ${box.y - NODE_HEIGHT / 2})`;
  const name = `${node.group === undefined ? "" : `${node.group}/`}${node.label}: ${second}`;
  if (!canOpen) {
    return (
      <g class={classes} transform={place}>
        <title>{name}</title>
        {shape}
      </g>
    );
  }
  return (
    // biome-ignore lint/a11y/useSemanticElements: SVG has no button
    <g
      class={classes}
      transform={place}
      role="button"
      tabindex={0}
      data-node={node.id}
      aria-label={name}
      onClick={open}
      onKeyDown={onEnter(open)}
    >
      {shape}
    </g>
  );
}

/** What is wrong with it, or that it has no sidecar. */
function Mark({ node }: { readonly node: DrawnNode }) {
  const tone = node.errors > 0 ? "bad" : node.warnings > 0 ? "warn" : undefined;
  const isBare = node.kind === "service" && node.endpoints > 0 && node.sidecars === 0;
  if (tone === undefined && !isBare) return null;
  return (
    <g class={`mark ${tone ?? "plain"}`} transform={`translate(${NODE_WIDTH - 27} 11)`}>
      <Icon name={tone === undefined ? "unlocked" : "warning"} />
    </g>
  );
}

function secondLine(node: DrawnNode, inbound: Inbound): string {
  if (node.kind === "namespace") return `${count(node.size, "service")}, ${rate(inbound.rate)}`;
  if (node.kind === "workload") return "calls only";
  if (inbound.rate > 0) {
    return inbound.errorShare > 0 ? `${rate(inbound.rate)}, ${share(inbound.errorShare)} errors` : rate(inbound.rate);
  }
  return node.kind === "outside" ? "" : count(node.endpoints, "endpoint");
}

const NAME_MAX = 18;

function shortened(name: string): string {
  return name.length <= NAME_MAX ? name : `${name.slice(0, NAME_MAX - 1)}…`;
}

function onEnter(run: () => void): (event: KeyboardEvent) => void {
  return (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    run();
  };
}

interface ZoomProps {
  readonly camera: Signal<Camera>;
  readonly size: Signal<Size>;
  readonly layout: Size;
}

function Zoom({ camera, size, layout }: ZoomProps) {
  const by = (factor: number): void => {
    const { width, height } = size.peek();
    camera.value = zoomed(camera.peek(), factor, { x: width / 2, y: height / 2 });
  };
  const buttons: readonly { readonly label: string; readonly icon: IconName; readonly run: () => void }[] = [
    { label: "Larger", icon: "plus", run: () => by(1.25) },
    { label: "Smaller", icon: "minus", run: () => by(0.8) },
    {
      label: "All of it",
      icon: "fit",
      run: () => {
        camera.value = fitted(size.peek(), layout);
      },
    },
  ];
  return (
    <div class="zoom">
      {buttons.map(({ label, icon, run }) => (
        <button key={label} type="button" aria-label={label} title={label} onClick={run}>
          <Icon name={icon} />
        </button>
      ))}
    </div>
  );
}
