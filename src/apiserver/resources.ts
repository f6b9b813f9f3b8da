// Every read and write of an object, with all the rules that hold whoever asks: in process or over HTTPS.

import type { ObjectRef } from "../api/client.ts";
import type { Issue } from "../api/issue.ts";
import { apiVersionOf, type Kind } from "../api/kind.ts";
import { namespaceKind } from "../api/kubernetes/namespace.ts";
import { serviceKind } from "../api/kubernetes/service.ts";
import type { KubeObject } from "../api/object.ts";
import type { Registry } from "../api/registry.ts";
import { checkMetadata, objectSchema } from "../api/validate.ts";
import type { Clock } from "../base/clock.ts";
import { deepEqual } from "../base/equal.ts";
import { isRecord } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { AdmissionPlugin } from "./admission.ts";
import { applied, type Declaration, declaredPaths } from "./apply.ts";
import { decode, type FieldValidation } from "./decode.ts";
import type { FieldPaths } from "./field-set.ts";
import { SYSTEM_USER, type User } from "./http.ts";
import {
  changedMetadata,
  ending,
  ignoresStatusOnCreate,
  mayGo,
  newMetadata,
  statusOf,
  timestamp,
  withGeneration,
  withStatus,
} from "./lifecycle.ts";
import { CONFLICT_RETRIES_MAX } from "./limits.ts";
import { managersAfter, writtenManagers } from "./managed-fields.ts";
import { type Predicate, parseSelectors } from "./selector.ts";
import { allocateAddress, isService, keepAddress } from "./service-address.ts";
import { type ApiFailure, alreadyExists, conflict, failure, forbidden, invalid, MODIFIED, notFound } from "./status.ts";
import type { Store } from "./store.ts";
import { deletionRefusal, namespaceMismatch, uniqueByPath, updateRefusal } from "./write-rules.ts";

export interface WriteContext {
  readonly user: User;
  /** Whose the written fields are from then on; the cluster's own parts own none. */
  readonly manager: string | undefined;
  /** What an applier declares; undefined for every other write. */
  readonly declared?: FieldPaths;
  readonly dryRun: boolean;
  readonly fieldValidation: FieldValidation;
}

export interface Written {
  readonly object: KubeObject;
  readonly warnings: readonly string[];
}

export interface DeleteOptions {
  readonly user: User;
  readonly gracePeriodSeconds: number | undefined;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
  readonly dryRun: boolean;
  readonly propagation: Propagation;
}

/** What becomes of an object's dependents: gone after it, gone before it, or set free. */
export type Propagation = "Background" | "Foreground" | "Orphan";

export interface Selection {
  readonly namespace: string | undefined;
  readonly labelSelector: string | undefined;
  readonly fieldSelector: string | undefined;
}

export interface Applied extends Written {
  readonly created: boolean;
}

type Target = "object" | "status";
type Outcome = Promise<Result<Written, ApiFailure>>;

/** Where the objects of a kind are stored. */
export function collectionOf(kind: Kind): string {
  return kind.group === "" ? kind.plural : `${kind.plural}.${kind.group}`;
}

export class Resources {
  readonly store: Store;
  readonly #registry: Pick<Registry, "kinds">;
  readonly #admission: readonly AdmissionPlugin[];
  readonly #clock: Clock;

  constructor(options: {
    readonly store: Store;
    readonly registry: Pick<Registry, "kinds">;
    readonly admission: readonly AdmissionPlugin[];
    readonly clock: Clock;
  }) {
    this.store = options.store;
    this.#registry = options.registry;
    this.#admission = options.admission;
    this.#clock = options.clock;
  }

  async get(kind: Kind, ref: ObjectRef): Promise<Result<KubeObject, ApiFailure>> {
    const failed = await this.#settle();
    if (failed !== undefined) return err(failed);
    const object = this.store.get(collectionOf(kind), ref.namespace, ref.name);
    return object === undefined ? err(notFound(kind, ref.name)) : ok(object);
  }

  async list(
    kind: Kind,
    selection: Selection,
  ): Promise<Result<{ objects: KubeObject[]; revision: number }, ApiFailure>> {
    const predicate = parseSelectors(kind, selection);
    if (!predicate.ok) return predicate;
    const failed = await this.#settle();
    if (failed !== undefined) return err(failed);
    return ok({ objects: this.#select(kind, selection.namespace, predicate.value), revision: this.store.revision });
  }

  async create(kind: Kind, namespace: string | undefined, body: unknown, context: WriteContext): Outcome {
    const decoded = decode(kind, body, context.fieldValidation);
    if (!decoded.ok) return decoded;
    const given = decoded.value.object;
    const mismatch = namespaceMismatch(kind, given, namespace);
    if (mismatch !== undefined) return err(mismatch);
    const metadata = newMetadata(kind, given.metadata, { namespace, wallMs: this.#clock.wallMs() });
    const home = this.#checkNamespace(kind, namespace, metadata.name);
    if (home !== undefined) return err(home);
    const bare = ignoresStatusOnCreate(kind) ? withStatus(given, undefined) : given;
    const fresh = this.#withDefaults(kind, { ...bare, metadata });
    if (this.store.get(collectionOf(kind), namespace, metadata.name) !== undefined) {
      return err(alreadyExists(kind, metadata.name));
    }
    const admitted = await this.#admit({ kind, object: fresh, previous: undefined }, context);
    if (!admitted.ok) return admitted;
    // Other writes may have come between: what must be unique is looked at again, and nothing awaits before the write.
    const gone = this.#checkNamespace(kind, namespace, metadata.name);
    if (gone !== undefined) return err(gone);
    if (this.store.get(collectionOf(kind), namespace, metadata.name) !== undefined) {
      return err(alreadyExists(kind, metadata.name));
    }
    const placed = this.#placed(kind, admitted.value.object);
    if (!placed.ok) return placed;
    const warnings = [...decoded.value.warnings, ...admitted.value.warnings];
    const object = this.#managed(
      kind,
      placed.value,
      { current: undefined, given: undefined },
      { target: "object", context },
    );
    if (context.dryRun) return ok({ object, warnings });
    return this.#saved(() => this.store.put(collectionOf(kind), object), warnings);
  }

  /** Server-side apply: made when it isn't there, else merged. */
  async apply(
    kind: Kind,
    ref: ObjectRef,
    declaration: Declaration,
    context: WriteContext,
  ): Promise<Result<Applied, ApiFailure>> {
    const declared = declaredPaths(kind, declaration.body);
    const options = { target: "object", context: { ...context, declared } } as const;
    const metadata = isRecord(declaration.body["metadata"]) ? declaration.body["metadata"] : {};
    for (;;) {
      if (this.store.get(collectionOf(kind), ref.namespace, ref.name) === undefined) {
        if (typeof metadata["uid"] === "string" || typeof metadata["resourceVersion"] === "string") {
          return err(conflict(kind, ref.name, "the object that the uid or resourceVersion names does not exist"));
        }
        const made = await this.create(kind, ref.namespace, withIdentity(declaration.body, ref), options.context);
        if (made.ok) return ok({ ...made.value, created: true });
        if (made.error.reason !== "AlreadyExists") return made;
      }
      const changed = await this.#write(kind, ref, (current) => applied(kind, current, declaration), options);
      if (changed.ok) return ok({ ...changed.value, created: false });
      if (changed.error.code !== 404) return changed;
    }
  }

  /** Replaces the object, or with target `status` only that. */
  async update(kind: Kind, ref: ObjectRef, body: unknown, options: { target: Target; context: WriteContext }): Outcome {
    const named = withIdentity(body, ref);
    return this.#write(kind, ref, () => ok(named), options);
  }

  /** `change` turns the current object into the wanted one; it is asked again when somebody else wrote in between. */
  patch(
    kind: Kind,
    ref: ObjectRef,
    change: (current: KubeObject) => Result<unknown, ApiFailure>,
    options: { target: Target; context: WriteContext },
  ): Outcome {
    return this.#write(kind, ref, change, options);
  }

  /** A status that this server itself works out. */
  async writeStatus(kind: Kind, ref: ObjectRef, status: unknown): Outcome {
    const context = { user: SYSTEM_USER, manager: undefined, dryRun: false, fieldValidation: "Strict" } as const;
    return this.patch(kind, ref, (current) => ok(withStatus(current, status)), { target: "status", context });
  }

  async remove(
    kind: Kind,
    ref: ObjectRef,
    options: DeleteOptions,
  ): Promise<Result<Written & { gone: boolean }, ApiFailure>> {
    const collection = collectionOf(kind);
    const found = this.store.get(collection, ref.namespace, ref.name);
    if (found === undefined) return err(notFound(kind, ref.name));
    const denied = await this.#deletionDenied(kind, found, options);
    if (denied !== undefined) return err(denied);
    const current = this.store.get(collection, ref.namespace, ref.name);
    if (current === undefined) return err(notFound(kind, ref.name));
    const refusal = deletionRefusal(kind, current, options);
    if (refusal !== undefined) return err(refusal);
    const held = this.#withPropagation(current, options.propagation);
    const marked = ending(held, { gracePeriodSeconds: options.gracePeriodSeconds, wallMs: this.#clock.wallMs() });
    if (options.dryRun) return ok({ object: marked ?? current, warnings: [], gone: marked === undefined });
    const done = await this.#saved(() => {
      if (marked === undefined) return this.store.remove(collection, current);
      return deepEqual(marked, current) ? current : this.store.put(collection, marked);
    }, []);
    return done.ok ? ok({ ...done.value, gone: marked === undefined }) : done;
  }

  async #deletionDenied(kind: Kind, object: KubeObject, options: DeleteOptions): Promise<ApiFailure | undefined> {
    const { user, dryRun } = options;
    const { namespace } = object.metadata;
    for (const plugin of this.#admission) {
      if (plugin.deletes !== true) continue;
      const answer = await plugin.admit({
        operation: "delete",
        kind,
        namespace,
        object,
        previous: undefined,
        user,
        dryRun,
      });
      if (answer.kind === "denied") return answer.error;
    }
    return undefined;
  }

  async #write(
    kind: Kind,
    ref: ObjectRef,
    change: (current: KubeObject) => Result<unknown, ApiFailure>,
    options: { target: Target; context: WriteContext },
  ): Outcome {
    for (let attempt = 0; ; attempt++) {
      const current = this.store.get(collectionOf(kind), ref.namespace, ref.name);
      if (current === undefined) return err(notFound(kind, ref.name));
      const wanted = change(current);
      if (!wanted.ok) return wanted;
      const outcome = await this.#replace(kind, current, wanted.value, options);
      if (outcome !== "overtaken") return outcome;
      if (attempt >= CONFLICT_RETRIES_MAX) return err(conflict(kind, ref.name, MODIFIED));
    }
  }

  async #replace(
    kind: Kind,
    current: KubeObject,
    body: unknown,
    { target, context }: { target: Target; context: WriteContext },
  ): Promise<Result<Written, ApiFailure> | "overtaken"> {
    const { name, namespace } = current.metadata;
    const decoded = decode(kind, body, context.fieldValidation);
    if (!decoded.ok) return decoded;
    const given = decoded.value.object;
    const refusal = updateRefusal(kind, given, current);
    if (refusal !== undefined) return err(refusal);
    let next: KubeObject;
    let warnings = decoded.value.warnings;
    if (target === "status") next = withStatus(current, statusOf(given));
    else {
      const admitted = await this.#admitUpdate(kind, given, current, context);
      if (!admitted.ok) return admitted;
      if (this.store.get(collectionOf(kind), namespace, name) !== current) {
        // Read again: a stated resourceVersion then no longer fits, a patch is applied to what is there now.
        return "overtaken";
      }
      next = admitted.value.object;
      warnings = [...warnings, ...admitted.value.warnings];
    }
    next = this.#managed(kind, next, { current, given }, { target, context });
    if (context.dryRun) return ok({ object: next, warnings });
    return this.#saved(() => {
      if (mayGo(next)) return this.store.remove(collectionOf(kind), next);
      return deepEqual(next, current) ? current : this.store.put(collectionOf(kind), next);
    }, warnings);
  }

  async #admitUpdate(kind: Kind, given: KubeObject, current: KubeObject, context: WriteContext): Outcome {
    const merged = { ...given, metadata: changedMetadata(given.metadata, current.metadata) };
    const keepsStatus = kind.subresources.includes("status") ? withStatus(merged, statusOf(current)) : merged;
    const kept =
      isService(kind, keepsStatus) && isService(kind, current) ? keepAddress(keepsStatus, current) : keepsStatus;
    const admitted = await this.#admit({ kind, object: this.#withDefaults(kind, kept), previous: current }, context);
    if (!admitted.ok) return admitted;
    const placed = this.#placed(kind, admitted.value.object);
    if (!placed.ok) return placed;
    return ok({ ...admitted.value, object: withGeneration(kind, placed.value, current) });
  }

  /** Plugins in order, then defaults for what they added, then the checks. */
  async #admit(
    write: { kind: Kind; object: KubeObject; previous: KubeObject | undefined },
    context: WriteContext,
  ): Outcome {
    const { kind, previous } = write;
    const warnings: string[] = previous === undefined && kind.keptOnly !== undefined ? [kind.keptOnly] : [];
    let object = write.object;
    for (const plugin of this.#admission) {
      const answer = await plugin.admit({
        operation: previous === undefined ? "create" : "update",
        kind,
        namespace: object.metadata.namespace,
        object,
        previous,
        user: context.user,
        dryRun: context.dryRun,
      });
      if (answer.kind === "denied") return err(answer.error);
      object = answer.object;
      warnings.push(...answer.warnings);
    }
    if (this.#admission.length > 0) object = this.#withDefaults(kind, object);
    const issues: Issue[] = [...checkMetadata(object.metadata), ...(kind.check?.(object, previous) ?? [])];
    const errors = issues.filter((issue) => issue.severity === "error");
    if (errors.length > 0) return err(invalid(kind, object.metadata.name, uniqueByPath(errors), object));
    for (const issue of issues) warnings.push(issue.path === "" ? issue.message : `${issue.path}: ${issue.message}`);
    return ok({ object, warnings });
  }

  /** `managedFields` after the write. */
  #managed(
    kind: Kind,
    object: KubeObject,
    { current, given }: { readonly current: KubeObject | undefined; readonly given: KubeObject | undefined },
    { target, context }: { readonly target: Target; readonly context: WriteContext },
  ): KubeObject {
    if (context.manager === undefined) return object;
    const { managedFields: before, ...metadata } = object.metadata;
    const written =
      current === undefined || given === undefined ? undefined : writtenManagers(given.metadata, current.metadata);
    const managedFields = managersAfter(written ?? before, {
      schema: objectSchema(kind),
      before: current,
      after: object,
      subresource: target === "status" ? "status" : undefined,
      writer: { name: context.manager, apiVersion: apiVersionOf(kind), declared: context.declared },
      now: timestamp(this.#clock.wallMs()),
    });
    return { ...object, metadata: { ...metadata, ...(managedFields === undefined ? {} : { managedFields }) } };
  }

  #withDefaults(kind: Kind, object: KubeObject): KubeObject {
    return kind.applyDefaults?.(object) ?? object;
  }

  /** Addresses of a Service, given synchronously just before the write. */
  #placed(kind: Kind, object: KubeObject): Result<KubeObject, ApiFailure> {
    if (!isService(kind, object)) return ok(object);
    const others = this.store
      .list(collectionOf(serviceKind))
      .filter((other) => other.metadata.uid !== object.metadata.uid)
      .filter((other) => isService(kind, other));
    const placed = allocateAddress(object, others);
    return placed.ok ? placed : err(invalid(kind, object.metadata.name, placed.error, object));
  }

  #checkNamespace(kind: Kind, namespace: string | undefined, name: string): ApiFailure | undefined {
    if (!kind.namespaced) return undefined;
    const home = this.store.get(collectionOf(namespaceKind), undefined, namespace ?? "");
    if (home === undefined) return notFound(namespaceKind, namespace ?? "");
    if (home.metadata.deletionTimestamp === undefined) return undefined;
    const refusal = forbidden(
      kind,
      name,
      `unable to create new content in namespace ${namespace} because it is being terminated`,
    );
    return {
      ...refusal,
      details: {
        ...refusal.details,
        causes: [
          {
            reason: "NamespaceTerminating",
            message: `namespace ${namespace} is being terminated`,
            field: "metadata.namespace",
          },
        ],
      },
    };
  }

  /** The garbage collector looks after dependents and then takes the finalizer out. */
  #withPropagation(object: KubeObject, propagation: Propagation): KubeObject {
    const { uid, finalizers = [] } = object.metadata;
    if (propagation === "Background" || !this.#hasDependents(uid ?? "")) return object;
    const finalizer = propagation === "Orphan" ? "orphan" : "foregroundDeletion";
    if (finalizers.includes(finalizer)) return object;
    return { ...object, metadata: { ...object.metadata, finalizers: [...finalizers, finalizer] } };
  }

  #hasDependents(uid: string): boolean {
    return this.#registry.kinds.some((kind) =>
      this.store
        .list(collectionOf(kind))
        .some((object) => object.metadata.ownerReferences?.some((owner) => owner.uid === uid) === true),
    );
  }

  #select(kind: Kind, namespace: string | undefined, predicate: Predicate): KubeObject[] {
    return this.store.list(collectionOf(kind), namespace).filter(predicate);
  }

  async #saved(write: () => KubeObject, warnings: readonly string[]): Outcome {
    const object = write();
    const failed = await this.#settle();
    return failed === undefined ? ok({ object, warnings }) : err(failed);
  }

  async #settle(): Promise<ApiFailure | undefined> {
    try {
      do await this.store.committed();
      while (!this.store.isSettled);
      return undefined;
    } catch (error) {
      return failure(500, "InternalError", error instanceof Error ? error.message : String(error));
    }
  }
}

function withIdentity(body: unknown, ref: ObjectRef): unknown {
  if (!isRecord(body)) return body;
  const metadata = body["metadata"];
  const given = isRecord(metadata) ? metadata : {};
  return { ...body, metadata: { name: ref.name, ...given } };
}
