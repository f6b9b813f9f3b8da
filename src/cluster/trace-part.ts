// The trace store as a part of the cluster: without it the cluster runs on, and says so.

import { startTraceStore, type TraceStore, USUAL_PORTS } from "../traces/store.ts";
import type { TracePorts } from "../traces/thread-wire.ts";
import type { DataDir } from "./data-dir.ts";
import { keepPorts, keptPorts } from "./ports.ts";

export interface TracePartOptions {
  readonly dir: DataDir;
  readonly mode: "transparent" | "explicit";
  readonly nodeIP: string;
  readonly warn: (message: string) => void;
}

const NAMES = Object.keys(USUAL_PORTS).map((name) => `traces-${name}`);

/** In a network of its own the usual ports are free; on the machine's loopback others may have them. */
export async function openTraces({ dir, mode, nodeIP, warn }: TracePartOptions): Promise<TraceStore | undefined> {
  const isOwnNetwork = mode === "transparent";
  const ports = isOwnNetwork ? USUAL_PORTS : readKept(dir);
  const started = await startTraceStore({ directory: dir.traces, address: nodeIP, ports, warn });
  if (!started.ok) {
    warn(`the trace store could not start, so that no span is kept: ${started.error}`);
    return undefined;
  }
  if (!isOwnNetwork) keepPorts(dir, named(started.value.ports));
  return started.value;
}

function readKept(dir: DataDir): TracePorts {
  const kept = keptPorts(dir);
  const [otlpGrpc = 0, otlpHttp = 0, zipkin = 0, jaeger = 0] = NAMES.map((name) => kept[name] ?? 0);
  return { otlpGrpc, otlpHttp, zipkin, jaeger };
}

function named(ports: TracePorts): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(ports).map(([name, port]) => [`traces-${name}`, port]));
}
