// What a filter needs of the way upstream: one call to a cluster and its whole answer, bounded in bytes and in time.

import type { HeaderList } from "../codec/headers.ts";

export interface CallRequest {
  readonly cluster: string;
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  /** Without host and framing. */
  readonly headers: HeaderList;
  readonly body: Buffer | undefined;
  readonly timeoutMs: number;
  readonly responseBytesMax: number;
}

export type CallResult =
  | { readonly kind: "answer"; readonly status: number; readonly headers: HeaderList; readonly body: Buffer }
  /** In words, with the cluster's name. */
  | { readonly kind: "failed"; readonly reason: string };

export interface GrpcRequest {
  readonly cluster: string;
  readonly authority: string;
  /** `/PACKAGE.SERVICE/METHOD`. */
  readonly path: string;
  readonly metadata: readonly { readonly name: string; readonly value: string }[];
  readonly message: Buffer;
  readonly timeoutMs: number;
  readonly responseBytesMax: number;
  /** A method that takes a stream may end well without a message: its answer is then empty. */
  readonly mayAnswerNothing?: true;
}

export type GrpcResult =
  | { readonly kind: "answer"; readonly message: Buffer }
  | { readonly kind: "failed"; readonly reason: string };

export interface Caller {
  /** `done` is called once, unless the returned function gave the call up before; never before `call` has returned. */
  call(request: CallRequest, done: (result: CallResult) => void): () => void;
  grpc(request: GrpcRequest, done: (result: GrpcResult) => void): () => void;
}
