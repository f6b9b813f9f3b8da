// Asking the server: an answer, or a sentence that can be shown.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { sequence } from "./live.ts";
import { csrf } from "./mesh.ts";

export type Loaded<T> =
  | { readonly state: "loading" }
  | { readonly state: "failed"; readonly message: string }
  | { readonly state: "ready"; readonly value: T };

export async function ask<T>(path: string, method: "GET" | "POST" = "GET"): Promise<Loaded<T>> {
  try {
    const headers = method === "GET" ? {} : { "x-weft-csrf": csrf.peek() };
    const response = await fetch(path, { method, headers });
    const answer = await response.json();
    if (response.ok) return { state: "ready", value: answer };
    if (response.status === 401) location.reload();
    return { state: "failed", message: String(answer.error ?? `the server answered ${response.status}`) };
  } catch (error) {
    return {
      state: "failed",
      message: `the server does not answer: ${error instanceof Error ? error.message : error}`,
    };
  }
}

/** Asks again when the path changes, when the mesh's configuration does, and every so often. */
export function useAnswer<T>(path: string, everyMs: number): Loaded<T> {
  const answer = useSignal<Loaded<T>>({ state: "loading" });
  const since = sequence.value;
  useEffect(() => {
    answer.value = { state: "loading" };
  }, [path]);
  useEffect(() => {
    let isOver = false;
    const load = async (): Promise<void> => {
      const loaded = await ask<T>(path);
      if (!isOver) answer.value = loaded;
    };
    void load();
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") void load();
    }, everyMs);
    return () => {
      isOver = true;
      clearInterval(timer);
    };
  }, [path, since, everyMs]);
  return answer.value;
}
