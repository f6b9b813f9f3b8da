// What every pod of a node shares.

import type { KubeClient } from "../api/client.ts";
import type { Clock } from "../base/clock.ts";
import type { Result } from "../base/result.ts";
import type { EventRecorder } from "../controllers/events.ts";
import type { RestartDelays } from "./container-runner.ts";
import type { PodFacts } from "./facts.ts";
import type { ImageTable } from "./images.ts";
import type { PolicyWatch } from "./policies.ts";
import type { SandboxProvider } from "./sandbox.ts";
import type { ServiceTable } from "./services.ts";
import type { StartGate } from "./start-gate.ts";

export interface ProxyOfNode {
  /** What images that stand for the mesh's proxy run. */
  readonly kind: "weft" | "envoy";
  /** Envoy's binary, or why there is none and what to do. */
  readonly envoy: Result<string, string>;
}

export interface NodeContext {
  readonly nodeName: string;
  readonly client: KubeClient;
  readonly provider: SandboxProvider;
  readonly images: ImageTable;
  readonly clock: Clock;
  readonly events: EventRecorder;
  readonly services: ServiceTable;
  readonly policies: PolicyWatch;
  readonly starts: StartGate;
  readonly delays: RestartDelays;
  readonly runDirectory: string;
  readonly logDirectory: string;
  /** Directories of the claims. */
  readonly claimDirectory: string;
  /** Runs weft; a proxy container's args come after it. */
  readonly proxyCommand: readonly string[];
  readonly proxy: ProxyOfNode;
  /** What every process starts with: PATH and the like. */
  readonly environment: Readonly<Record<string, string>>;
  readonly apiCertificate: string | undefined;
  readonly capacity: PodFacts["capacity"];
}
