// What the API server asks of the node where a pod runs: its logs, and commands beside it.

import type { Duplex, Readable, Writable } from "node:stream";
import type { ApiError } from "../api/client.ts";
import type { Result } from "../base/result.ts";

export interface ContainerRef {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string;
  /** Always a container that the pod's specification names. */
  readonly container: string;
}

export interface LogOptions {
  readonly follow: boolean;
  /** Of the run before the last restart. */
  readonly previous: boolean;
  /** Each line begins with its time, RFC 3339 with nanoseconds, and a space. */
  readonly timestamps: boolean;
  readonly tailLines: number | undefined;
  /** Wall-clock time of the oldest wanted line. */
  readonly sinceMs: number | undefined;
  readonly limitBytes: number | undefined;
}

export interface ExecRequest {
  readonly command: readonly string[];
  readonly stdin: boolean;
  readonly tty: boolean;
}

/** What a terminal shows at a time, in characters. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** Both streams end when the command has closed them; `exited` resolves after its last output was delivered. */
export interface ExecSession {
  /** Of a command on a real terminal, which then has all its output on stdout. */
  readonly resize: ((size: TerminalSize) => void) | undefined;
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly exited: Promise<{ readonly exitCode: number }>;
  kill(): void;
}

/** What a container uses at the moment. */
export interface ContainerUsage {
  readonly container: string;
  readonly cpuNanos: number;
  readonly memoryBytes: number;
}

export interface PodUsage {
  readonly uid: string;
  readonly namespace: string;
  readonly pod: string;
  readonly containers: readonly ContainerUsage[];
}

export interface NodeUsage {
  readonly node: string;
  /** The time over which CPU was measured. */
  readonly windowMs: number;
  readonly pods: readonly PodUsage[];
}

export interface PodRuntime {
  /** Bytes of whole lines. The reader destroys the stream to stop following. */
  logs(ref: ContainerRef, options: LogOptions): Promise<Result<Readable, ApiError>>;
  exec(ref: ContainerRef, request: ExecRequest): Promise<Result<ExecSession, ApiError>>;
  /** The container's own process: its output from now on, and its input where the container has one. */
  attach(ref: ContainerRef, request: { readonly stdin: boolean }): Promise<Result<ExecSession, ApiError>>;
  /** A connection to a port inside the pod, past what is intercepted. */
  dial(ref: ContainerRef, port: number): Promise<Result<Duplex, ApiError>>;
  usage(): Promise<Result<NodeUsage, ApiError>>;
}
