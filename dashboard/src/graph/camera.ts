// How the picture is looked at: moved by dragging, scaled by a wheel with Ctrl, a pinch or the buttons.

import { type Signal, useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect } from "preact/hooks";

export interface Camera {
  readonly x: number;
  readonly y: number;
  readonly scale: number;
}

const SCALE_MIN = 0.2;
const SCALE_MAX = 2;

export interface Size {
  readonly width: number;
  readonly height: number;
}

export function fitted(view: Size, content: Size): Camera {
  const scale = Math.min(1.1, Math.max(SCALE_MIN, Math.min(view.width / content.width, view.height / content.height)));
  const x = Math.max(0, (view.width - content.width * scale) / 2);
  return { x, y: Math.max(0, (view.height - content.height * scale) / 2), scale };
}

export function zoomed(camera: Camera, factor: number, at: { readonly x: number; readonly y: number }): Camera {
  const scale = Math.min(SCALE_MAX, Math.max(SCALE_MIN, camera.scale * factor));
  const ratio = scale / camera.scale;
  return { scale, x: at.x - (at.x - camera.x) * ratio, y: at.y - (at.y - camera.y) * ratio };
}

export interface Looking {
  readonly camera: Signal<Camera>;
  readonly size: Signal<Size>;
}

export function useCamera(frame: RefObject<HTMLDivElement | null>, content: Size): Looking {
  const camera = useSignal<Camera>({ x: 0, y: 0, scale: 1 });
  const size = useSignal<Size>({ width: 0, height: 0 });
  useEffect(() => {
    const element = frame.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => {
      size.value = { width: element.clientWidth, height: element.clientHeight };
    });
    observer.observe(element);
    const release = followPointer(element, camera);
    return () => {
      observer.disconnect();
      release();
    };
  }, []);
  const { width, height } = size.value;
  useEffect(() => {
    if (width > 0) camera.value = fitted({ width, height }, content);
  }, [width, height, content.width, content.height]);
  return { camera, size };
}

function followPointer(element: HTMLElement, camera: Signal<Camera>): () => void {
  const pointers = new Map<number, { x: number; y: number }>();
  const onDown = (event: PointerEvent): void => {
    if (event.button === 0) pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  };
  const onMove = (event: PointerEvent): void => {
    const last = pointers.get(event.pointerId);
    if (last === undefined) return;
    const [dx, dy] = [event.clientX - last.x, event.clientY - last.y];
    // A hand that shakes is no drag: the click underneath still counts.
    if (!element.hasPointerCapture(event.pointerId)) {
      if (Math.hypot(dx, dy) < 4) return;
      element.setPointerCapture(event.pointerId);
    }
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    const now = { x: event.clientX, y: event.clientY };
    if (other === undefined) camera.value = { ...camera.value, x: camera.value.x + dx, y: camera.value.y + dy };
    else camera.value = pinched(camera.value, element, { other, last, now });
    pointers.set(event.pointerId, now);
  };
  const onUp = (event: PointerEvent): void => {
    pointers.delete(event.pointerId);
  };
  const onWheel = (event: WheelEvent): void => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const box = element.getBoundingClientRect();
    camera.value = zoomed(camera.value, Math.exp(-event.deltaY / 300), {
      x: event.clientX - box.left,
      y: event.clientY - box.top,
    });
  };
  element.addEventListener("pointerdown", onDown);
  element.addEventListener("pointermove", onMove);
  element.addEventListener("pointerup", onUp);
  element.addEventListener("pointercancel", onUp);
  element.addEventListener("wheel", onWheel, { passive: false });
  return () => {
    element.removeEventListener("pointerdown", onDown);
    element.removeEventListener("pointermove", onMove);
    element.removeEventListener("pointerup", onUp);
    element.removeEventListener("pointercancel", onUp);
    element.removeEventListener("wheel", onWheel);
  };
}

interface Spot {
  readonly x: number;
  readonly y: number;
}

function pinched(
  camera: Camera,
  element: HTMLElement,
  { other, last, now }: { readonly other: Spot; readonly last: Spot; readonly now: Spot },
): Camera {
  const before = Math.hypot(last.x - other.x, last.y - other.y);
  const after = Math.hypot(now.x - other.x, now.y - other.y);
  const box = element.getBoundingClientRect();
  const at = { x: (now.x + other.x) / 2 - box.left, y: (now.y + other.y) / 2 - box.top };
  return before === 0 ? camera : zoomed(camera, after / before, at);
}
