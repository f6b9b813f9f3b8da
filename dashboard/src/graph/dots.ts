// What moves along the lines: as many dots as there are requests, up to what an eye can follow. Drawn on one canvas.

import type { Camera, Size } from "./camera.ts";
import type { DrawnEdge } from "./fold.ts";
import { type Layout, TRACK_STEP } from "./layout.ts";

const DOTS_MAX = 400;
const DOTS_PER_SECOND_MAX = 6;
const PIXELS_PER_SECOND = 90;
const FRAME_MS = 1_000 / 30;

interface Dot {
  readonly edge: string;
  at: number;
  readonly isError: boolean;
}

export interface Scene {
  readonly layout: Layout;
  readonly edges: readonly DrawnEdge[];
  readonly camera: Camera;
  readonly size: Size;
}

/** Runs until what is returned is called; stands still where the system asks for less motion. */
export function animateDots(canvas: HTMLCanvasElement, scene: () => Scene): () => void {
  const pencil = canvas.getContext("2d");
  if (pencil === null || matchMedia("(prefers-reduced-motion: reduce)").matches) return () => undefined;
  let dots: Dot[] = [];
  const owed = new Map<string, number>();
  let lastMs = performance.now();
  let frame = requestAnimationFrame(step);

  function step(nowMs: number): void {
    frame = requestAnimationFrame(step);
    const passedMs = nowMs - lastMs;
    if (passedMs < FRAME_MS || pencil === null) return;
    lastMs = nowMs;
    const seconds = Math.min(passedMs, 100) / 1_000;
    const { layout, edges, camera, size } = scene();
    for (const edge of edges) {
      const due = (owed.get(edge.id) ?? Math.random()) + Math.min(edge.rate, DOTS_PER_SECOND_MAX) * seconds;
      owed.set(edge.id, due % 1);
      if (due >= 1 && dots.length < DOTS_MAX)
        dots.push({ edge: edge.id, at: 0, isError: Math.random() < edge.errorShare });
    }
    dots = dots.filter((dot) => {
      dot.at += (PIXELS_PER_SECOND * seconds) / TRACK_STEP;
      return dot.at < (layout.edges.get(dot.edge)?.track.length ?? 0);
    });
    draw(pencil, { canvas, camera, size }, layout, dots);
  }
  return () => cancelAnimationFrame(frame);
}

function draw(
  pencil: CanvasRenderingContext2D,
  { canvas, camera, size }: { readonly canvas: HTMLCanvasElement; readonly camera: Camera; readonly size: Size },
  layout: Layout,
  dots: readonly Dot[],
): void {
  const density = devicePixelRatio || 1;
  const [width, height] = [Math.round(size.width * density), Math.round(size.height * density)];
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  pencil.setTransform(1, 0, 0, 1, 0, 0);
  pencil.clearRect(0, 0, width, height);
  if (dots.length === 0) return;
  const style = getComputedStyle(canvas);
  const colours = { good: style.getPropertyValue("--accent"), bad: style.getPropertyValue("--bad") };
  const scale = density * camera.scale;
  pencil.setTransform(scale, 0, 0, scale, camera.x * density, camera.y * density);
  for (const isError of [false, true]) {
    pencil.fillStyle = isError ? colours.bad : colours.good;
    pencil.beginPath();
    for (const dot of dots) {
      const point = layout.edges.get(dot.edge)?.track[Math.floor(dot.at)];
      if (point === undefined || dot.isError !== isError) continue;
      pencil.moveTo(point.x + 3, point.y);
      pencil.arc(point.x, point.y, 3, 0, Math.PI * 2);
    }
    pencil.fill();
  }
}
