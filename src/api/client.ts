// What the control plane, the controllers and the node need of a Kubernetes API server.
// Implemented in process by the local cluster, and over HTTPS for a real one.

import type { Result } from "../base/result.ts";
import type { Kind } from "./kind.ts";
import type { KubeObject } from "./object.ts";

/** Kubernetes' Status as an error. `code` is the HTTP status; `reason` e.g. NotFound, Conflict, AlreadyExists, Invalid. */
export interface ApiError {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
}

export interface ListOptions {
  /** All namespaces when absent. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export type WatchEvent<T> =
  | { readonly type: "added" | "modified" | "deleted"; readonly object: T }
  /** Everything that existed when the watch began has been delivered as `added`. Sent once. */
  | { readonly type: "synced" };

export interface Watch {
  stop(): void;
}

export interface ObjectRef {
  readonly namespace?: string;
  readonly name: string;
}

export interface TokenRequest {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly audiences: readonly string[];
  readonly expirationSeconds: number;
  readonly pod?: { readonly name: string; readonly uid: string };
}

export interface TokenReview {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly audiences: readonly string[];
  readonly pod?: { readonly name: string; readonly uid: string };
}

export interface KubeClient {
  get<T extends KubeObject>(kind: Kind<T>, ref: ObjectRef): Promise<Result<T, ApiError>>;
  list<T extends KubeObject>(kind: Kind<T>, options?: ListOptions): Promise<Result<readonly T[], ApiError>>;
  create<T extends KubeObject>(kind: Kind<T>, object: T): Promise<Result<T, ApiError>>;
  /** Refused with Conflict when `metadata.resourceVersion` is set and no longer current. */
  update<T extends KubeObject>(kind: Kind<T>, object: T): Promise<Result<T, ApiError>>;
  /** Replaces `status` only. */
  updateStatus<T extends KubeObject>(kind: Kind<T>, object: T): Promise<Result<T, ApiError>>;
  /** JSON merge patch (RFC 7386), on the object or on its status. */
  mergePatch<T extends KubeObject>(
    kind: Kind<T>,
    ref: ObjectRef,
    patch: { readonly body: unknown; readonly subresource?: "status" },
  ): Promise<Result<T, ApiError>>;
  /** `gracePeriodSeconds: 0` removes at once what otherwise waits for the node. */
  remove(
    kind: Kind,
    ref: ObjectRef,
    options?: { readonly gracePeriodSeconds?: number; readonly uid?: string },
  ): Promise<Result<void, ApiError>>;
  /** Lists, then follows; survives disconnects by itself. `onEvent` must not throw. */
  watch<T extends KubeObject>(kind: Kind<T>, options: ListOptions, onEvent: (event: WatchEvent<T>) => void): Watch;
  createToken(request: TokenRequest): Promise<Result<string, ApiError>>;
  reviewToken(token: string, audience: string): Promise<Result<TokenReview, ApiError>>;
}
