// A composed cluster, as what runs inside it (the demo, `-f` files) sees it.

import type { KubeClient } from "../api/client.ts";
import type { Registry } from "../api/registry.ts";
import type { PodRuntime } from "../apiserver/pod-runtime.ts";
import type { DataDir } from "./data-dir.ts";

export interface RunningCluster {
  readonly dir: DataDir;
  readonly mode: "transparent" | "explicit";
  readonly modeReason: string;
  readonly nodeIP: string;
  /** `https://127.0.0.1:6443`. */
  readonly api: string;
  /** `http://127.0.0.1:20001`; empty where it could not be served. */
  readonly dashboard: string;
  readonly client: KubeClient;
  readonly kinds: Registry;
  readonly runtime: PodRuntime;
  /** Stops pods with their grace and closes everything. Never rejects. */
  stop(): Promise<void>;
}
