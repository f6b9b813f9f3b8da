// What the API server asks of the node where a pod runs: its logs, and commands beside it.

import type { Readable, Writable } from "node:stream";
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
}

/** Both streams end when the command has closed them; `exited` resolves after its last output was delivered. */
export interface ExecSession {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly exited: Promise<{ readonly exitCode: number }>;
  kill(): void;
}

export interface PodRuntime {
  /** Bytes of whole lines. The reader destroys the stream to stop following. */
  logs(ref: ContainerRef, options: LogOptions): Promise<Result<Readable, ApiError>>;
  exec(ref: ContainerRef, request: ExecRequest): Promise<Result<ExecSession, ApiError>>;
}
