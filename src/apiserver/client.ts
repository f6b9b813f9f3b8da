// The API for the parts of weft that run in the same process: the same rules as over HTTPS, without the wire.

import type {
  ApiError,
  KubeClient,
  ListOptions,
  ObjectRef,
  TokenRequest,
  TokenReview,
  Watch,
  WatchEvent,
} from "../api/client.ts";
import { eraseKind, type Kind } from "../api/kind.ts";
import type { KubeObject } from "../api/object.ts";
import { err, ok, type Result } from "../base/result.ts";
import { SYSTEM_USER } from "./http.ts";
import { mergePatch } from "./json-patch.ts";
import type { Resources, Selection, WriteContext } from "./resources.ts";
import type { ApiFailure } from "./status.ts";
import type { Tokens } from "./tokens.ts";
import { eventSelector } from "./watch.ts";

const CONTEXT: WriteContext = { user: SYSTEM_USER, manager: undefined, dryRun: false, fieldValidation: "Strict" };

export class LocalClient implements KubeClient {
  readonly #resources: Resources;
  readonly #tokens: Tokens;

  constructor(resources: Resources, tokens: Tokens) {
    this.#resources = resources;
    this.#tokens = tokens;
  }

  async get<T extends KubeObject>(kind: Kind<T>, ref: ObjectRef): Promise<Result<T, ApiError>> {
    return typed(await this.#resources.get(eraseKind(kind), ref));
  }

  async list<T extends KubeObject>(kind: Kind<T>, options: ListOptions = {}): Promise<Result<readonly T[], ApiError>> {
    const listed = await this.#resources.list(eraseKind(kind), selectionOf(options));
    return listed.ok ? ok(listed.value.objects as readonly KubeObject[] as readonly T[]) : listed;
  }

  async create<T extends KubeObject>(kind: Kind<T>, object: T): Promise<Result<T, ApiError>> {
    return written(await this.#resources.create(eraseKind(kind), object.metadata.namespace, object, CONTEXT));
  }

  async update<T extends KubeObject>(kind: Kind<T>, object: T): Promise<Result<T, ApiError>> {
    const options = { target: "object", context: CONTEXT } as const;
    return written(await this.#resources.update(eraseKind(kind), refOf(object), object, options));
  }

  async updateStatus<T extends KubeObject>(kind: Kind<T>, object: T): Promise<Result<T, ApiError>> {
    const options = { target: "status", context: CONTEXT } as const;
    return written(await this.#resources.update(eraseKind(kind), refOf(object), object, options));
  }

  async mergePatch<T extends KubeObject>(
    kind: Kind<T>,
    ref: ObjectRef,
    patch: { readonly body: unknown; readonly subresource?: "status" },
  ): Promise<Result<T, ApiError>> {
    const change = (current: KubeObject) => ok(mergePatch(current, patch.body));
    const options = { target: patch.subresource ?? "object", context: CONTEXT } as const;
    return written(await this.#resources.patch(eraseKind(kind), ref, change, options));
  }

  async remove(
    kind: Kind,
    ref: ObjectRef,
    options: { readonly gracePeriodSeconds?: number; readonly uid?: string } = {},
  ): Promise<Result<void, ApiError>> {
    const done = await this.#resources.remove(kind, ref, {
      user: SYSTEM_USER,
      gracePeriodSeconds: options.gracePeriodSeconds,
      uid: options.uid,
      resourceVersion: undefined,
      dryRun: false,
      propagation: "Background",
    });
    return done.ok ? ok(undefined) : done;
  }

  watch<T extends KubeObject>(kind: Kind<T>, options: ListOptions, onEvent: (event: WatchEvent<T>) => void): Watch {
    let isStopped = false;
    let stopEvents = (): void => undefined;
    const deliver = (type: "added" | "modified" | "deleted", object: KubeObject): void => {
      if (!isStopped) onEvent({ type, object: object as T });
    };
    void this.#begin(eraseKind(kind), selectionOf(options), deliver).then((begun) => {
      if (isStopped) begun.stop();
      else {
        stopEvents = begun.stop;
        onEvent({ type: "synced" });
      }
    });
    return {
      stop: () => {
        isStopped = true;
        stopEvents();
      },
    };
  }

  async createToken(request: TokenRequest): Promise<Result<string, ApiError>> {
    const issued = await this.#tokens.issue(request);
    return issued.ok ? ok(issued.value.token) : issued;
  }

  async reviewToken(token: string, audience: string): Promise<Result<TokenReview, ApiError>> {
    return await this.#tokens.review(token, audience);
  }

  async #begin(
    kind: Kind,
    selection: Selection,
    deliver: (type: "added" | "modified" | "deleted", object: KubeObject) => void,
  ): Promise<Watch> {
    const nothing: Watch = { stop: () => undefined };
    const select = eventSelector(kind, selection);
    const listed = await this.#resources.list(kind, selection);
    // A selector that can't be parsed is the caller's mistake: it sees an empty world rather than the whole one.
    if (!select.ok || !listed.ok) return nothing;
    const held: { type: "added" | "modified" | "deleted"; object: KubeObject }[] = [];
    let isLive = false;
    const subscription = this.#resources.store.subscribe(listed.value.revision, (event) => {
      const chosen = select.value(event);
      if (chosen === undefined) return;
      if (isLive) deliver(chosen.type, chosen.object);
      else held.push(chosen);
    });
    for (const object of listed.value.objects) deliver("added", object);
    for (const event of held) deliver(event.type, event.object);
    isLive = true;
    return subscription ?? nothing;
  }
}

// Sound because every object in a kind's collection passed that kind's schema.
function typed<T extends KubeObject>(result: Result<KubeObject, ApiFailure>): Result<T, ApiError> {
  return result.ok ? ok(result.value as T) : err(result.error);
}

function written<T extends KubeObject>(
  result: Result<{ readonly object: KubeObject }, ApiFailure>,
): Result<T, ApiError> {
  return result.ok ? ok(result.value.object as T) : err(result.error);
}

function refOf(object: KubeObject): ObjectRef {
  const { name, namespace } = object.metadata;
  return namespace === undefined ? { name } : { name, namespace };
}

function selectionOf(options: ListOptions): Selection {
  return {
    namespace: options.namespace,
    labelSelector: options.labelSelector,
    fieldSelector: options.fieldSelector,
  };
}
