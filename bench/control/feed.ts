// An API server's watches without an API server: what the control plane reads, told as events.

import type { ApiError, KubeClient, ListOptions, Watch, WatchEvent } from "../../src/api/client.ts";
import type { Kind } from "../../src/api/kind.ts";
import type { KubeObject } from "../../src/api/object.ts";
import { err, ok, type Result } from "../../src/base/result.ts";

type Follower = (event: { readonly type: "added" | "modified" | "deleted"; readonly object: KubeObject }) => void;

const ABSENT: ApiError = { code: 404, reason: "NotFound", message: "the benchmark has no such object" };

export class Feed implements KubeClient {
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  readonly #followers = new Map<string, Set<Follower>>();

  put(object: KubeObject): void {
    const objects = this.#of(object.kind);
    const key = `${object.metadata.namespace}/${object.metadata.name}`;
    const type = objects.has(key) ? "modified" : "added";
    objects.set(key, object);
    for (const follower of this.#followers.get(object.kind) ?? []) follower({ type, object });
  }

  drop(object: KubeObject): void {
    this.#of(object.kind).delete(`${object.metadata.namespace}/${object.metadata.name}`);
    for (const follower of this.#followers.get(object.kind) ?? []) follower({ type: "deleted", object });
  }

  watch<T extends KubeObject>(kind: Kind<T>, _options: ListOptions, onEvent: (event: WatchEvent<T>) => void): Watch {
    const followers = this.#followers.get(kind.kind) ?? new Set<Follower>();
    this.#followers.set(kind.kind, followers);
    const follower: Follower = ({ type, object }) => {
      if (isOf(kind, object)) onEvent({ type, object });
    };
    for (const object of this.#of(kind.kind).values()) follower({ type: "added", object });
    followers.add(follower);
    onEvent({ type: "synced" });
    return { stop: () => followers.delete(follower) };
  }

  get<T extends KubeObject>(): Promise<Result<T, ApiError>> {
    return Promise.resolve(err(ABSENT));
  }

  list<T extends KubeObject>(): Promise<Result<readonly T[], ApiError>> {
    return Promise.resolve(ok([]));
  }

  create<T extends KubeObject>(_kind: Kind<T>, object: T): Promise<Result<T, ApiError>> {
    return Promise.resolve(ok(object));
  }

  update<T extends KubeObject>(_kind: Kind<T>, object: T): Promise<Result<T, ApiError>> {
    return Promise.resolve(ok(object));
  }

  updateStatus<T extends KubeObject>(_kind: Kind<T>, object: T): Promise<Result<T, ApiError>> {
    return Promise.resolve(ok(object));
  }

  mergePatch<T extends KubeObject>(): Promise<Result<T, ApiError>> {
    return Promise.resolve(err(ABSENT));
  }

  remove(): Promise<Result<void, ApiError>> {
    return Promise.resolve(ok(undefined));
  }

  createToken(): Promise<Result<string, ApiError>> {
    return Promise.resolve(err(ABSENT));
  }

  reviewToken(): Promise<Result<never, ApiError>> {
    return Promise.resolve(err(ABSENT));
  }

  #of(kind: string): Map<string, KubeObject> {
    const objects = this.#objects.get(kind) ?? new Map<string, KubeObject>();
    this.#objects.set(kind, objects);
    return objects;
  }
}

/** The feed holds what the benchmark put in: objects of the kind that their `kind` says. */
function isOf<T extends KubeObject>(kind: Kind<T>, object: KubeObject): object is T {
  return object.kind === kind.kind;
}
