// The stream of figures: what the graph shows, as it is now.

import { computed, signal } from "@preact/signals";
import type { MeshPulse } from "../../src/dashboard/shapes.ts";

export const pulse = signal<MeshPulse | undefined>(undefined);
export const connected = signal(false);
/** Changes with the mesh's configuration, not with every figure. */
export const sequence = computed(() => pulse.value?.sequence ?? 0);

export function startLive(): void {
  const source = new EventSource("/api/live");
  source.onopen = () => {
    connected.value = true;
  };
  source.onerror = () => {
    connected.value = false;
    // A session that has ended is not taken up again: the page then says how to log in.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 3_000);
  };
  source.onmessage = (event) => {
    pulse.value = JSON.parse(event.data);
  };
}
