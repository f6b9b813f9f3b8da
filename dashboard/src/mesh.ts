// Which mesh this is, and what this session may do.

import { computed, signal } from "@preact/signals";
import type { MeshInfo } from "../../src/dashboard/shapes.ts";

export const mesh = signal<MeshInfo | undefined>(undefined);
export const csrf = computed(() => mesh.value?.csrf ?? "");

export async function loadMesh(): Promise<void> {
  const response = await fetch("/api/mesh");
  if (response.ok) mesh.value = await response.json();
}
