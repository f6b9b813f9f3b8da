// What the cluster knows, in memory and on disk. A write is visible and announced only when the disk has it.

import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { KubeObject } from "../api/object.ts";
import { isRecord, parseJson } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import { HISTORY_EVENTS_MAX } from "./limits.ts";

export interface StoreEvent {
  readonly revision: number;
  readonly type: "added" | "modified" | "deleted";
  readonly collection: string;
  /** As stored; for `deleted` the last state, with the revision of its removal. */
  readonly object: KubeObject;
  readonly previous: KubeObject | undefined;
}

export interface Subscription {
  stop(): void;
}

interface PendingWrite {
  readonly event: StoreEvent;
  readonly key: string;
}

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS object (
    collection TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (collection, namespace, name)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
`;

/** Opens or makes the database file; the error says which file and why. */
export function openStore(path: string): Result<Store, string> {
  try {
    return ok(new Store(new DatabaseSync(path)));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return err(
      `cannot open the cluster's state ${path}: ${why}; check that the directory can be written and no other process holds it`,
    );
  }
}

export class Store {
  readonly #database: DatabaseSync;
  readonly #putStatement: StatementSync;
  readonly #deleteStatement: StatementSync;
  readonly #revisionStatement: StatementSync;
  readonly #collections = new Map<string, Map<string, KubeObject>>();
  readonly #listeners = new Set<(event: StoreEvent) => void>();
  #history: StoreEvent[] = [];
  /** Watches can resume from this revision on. */
  #oldestRevision: number;
  #revision: number;
  #committedRevision: number;
  #pending: PendingWrite[] = [];
  #commit: Promise<void> | undefined;
  #isClosed = false;

  constructor(database: DatabaseSync) {
    this.#database = database;
    database.exec(SCHEMA);
    this.#putStatement = database.prepare(
      "INSERT INTO object (collection, namespace, name, body) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body",
    );
    this.#deleteStatement = database.prepare("DELETE FROM object WHERE collection = ? AND namespace = ? AND name = ?");
    this.#revisionStatement = database.prepare(
      "INSERT INTO meta (key, value) VALUES ('revision', ?) ON CONFLICT DO UPDATE SET value = excluded.value",
    );
    const row = database.prepare("SELECT value FROM meta WHERE key = 'revision'").get();
    this.#revision = Number(row?.["value"] ?? 1);
    this.#committedRevision = this.#revision;
    this.#oldestRevision = this.#revision;
    for (const { collection, body } of database.prepare("SELECT collection, body FROM object").iterate()) {
      const parsed = parseJson(String(body));
      // The parse boundary: only this class writes these rows.
      if (parsed.ok && isRecord(parsed.value)) this.#insert(String(collection), parsed.value as unknown as KubeObject);
    }
  }

  /** Of the last write that is on disk. */
  get revision(): number {
    return this.#committedRevision;
  }

  get(collection: string, namespace: string | undefined, name: string): KubeObject | undefined {
    return this.#collections.get(collection)?.get(keyOf(namespace, name));
  }

  /** Sorted by namespace and name. */
  list(collection: string, namespace?: string): KubeObject[] {
    const all = [...(this.#collections.get(collection)?.entries() ?? [])];
    const prefix = `${namespace}/`;
    const chosen = namespace === undefined ? all : all.filter(([key]) => key.startsWith(prefix));
    return chosen.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  }

  /** Writes and gives the object its new resourceVersion. The caller waits for `committed` before it tells anybody. */
  put(collection: string, object: KubeObject): KubeObject {
    this.#revision += 1;
    const stored = withRevision(object, this.#revision);
    const previous = this.#insert(collection, stored);
    const type = previous === undefined ? "added" : "modified";
    this.#enqueue({ revision: this.#revision, type, collection, object: stored, previous });
    return stored;
  }

  remove(collection: string, object: KubeObject): KubeObject {
    const key = keyOf(object.metadata.namespace, object.metadata.name);
    const previous = this.#collections.get(collection)?.get(key);
    this.#collections.get(collection)?.delete(key);
    this.#revision += 1;
    const last = withRevision(object, this.#revision);
    this.#enqueue({ revision: this.#revision, type: "deleted", collection, object: last, previous });
    return last;
  }

  /** Resolves when everything written so far is on disk; rejects when the disk refused it, and the writes are undone. */
  committed(): Promise<void> {
    return this.#commit ?? Promise.resolve();
  }

  /** False while a write waits for the disk. */
  get isSettled(): boolean {
    return this.#commit === undefined;
  }

  /** Delivers every event after `fromRevision`, those of the past first. Undefined when the past no longer reaches back so far. */
  subscribe(fromRevision: number, listener: (event: StoreEvent) => void): Subscription | undefined {
    if (fromRevision < this.#oldestRevision) return undefined;
    for (const event of this.#history) if (event.revision > fromRevision) listener(event);
    const guarded = (event: StoreEvent): void => {
      if (event.revision > fromRevision) listener(event);
    };
    this.#listeners.add(guarded);
    return { stop: () => this.#listeners.delete(guarded) };
  }

  close(): void {
    if (this.#isClosed) return;
    if (this.#pending.length > 0) this.#flush();
    this.#isClosed = true;
    this.#listeners.clear();
    this.#database.close();
  }

  #insert(collection: string, object: KubeObject): KubeObject | undefined {
    let objects = this.#collections.get(collection);
    if (objects === undefined) {
      objects = new Map();
      this.#collections.set(collection, objects);
    }
    const key = keyOf(object.metadata.namespace, object.metadata.name);
    const previous = objects.get(key);
    objects.set(key, object);
    return previous;
  }

  #enqueue(event: StoreEvent): void {
    const { namespace, name } = event.object.metadata;
    this.#pending.push({ event, key: keyOf(namespace, name) });
    if (this.#commit !== undefined) return;
    // All writes of one turn of the event loop share one transaction, so one fsync.
    const commit = new Promise<void>((resolve, reject) => {
      setImmediate(() => {
        this.#commit = undefined;
        const problem = this.#isClosed ? undefined : this.#flush();
        if (problem === undefined) resolve();
        else reject(problem);
      });
    });
    // Whoever wrote awaits it; this keeps a rejection nobody waits for from ending the process.
    commit.catch(() => undefined);
    this.#commit = commit;
  }

  #flush(): Error | undefined {
    const writes = this.#pending;
    this.#pending = [];
    try {
      this.#database.exec("BEGIN IMMEDIATE");
      for (const { event } of writes) this.#write(event);
      this.#revisionStatement.run(String(this.#revision));
      this.#database.exec("COMMIT");
    } catch (error) {
      this.#undo(writes);
      return new Error(`cannot write the cluster's state: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
    this.#committedRevision = this.#revision;
    for (const { event } of writes) this.#announce(event);
    return undefined;
  }

  #write({ type, collection, object }: StoreEvent): void {
    const { namespace = "", name } = object.metadata;
    if (type === "deleted") this.#deleteStatement.run(collection, namespace, name);
    else this.#putStatement.run(collection, namespace, name, JSON.stringify(object));
  }

  #undo(writes: readonly PendingWrite[]): void {
    if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
    for (const { event, key } of writes.toReversed()) {
      const objects = this.#collections.get(event.collection);
      if (event.previous === undefined) objects?.delete(key);
      else objects?.set(key, event.previous);
    }
  }

  #announce(event: StoreEvent): void {
    this.#history.push(event);
    if (this.#history.length > HISTORY_EVENTS_MAX) {
      const dropped = this.#history.splice(0, Math.ceil(HISTORY_EVENTS_MAX / 4));
      this.#oldestRevision = dropped.at(-1)?.revision ?? this.#oldestRevision;
    }
    for (const listener of [...this.#listeners]) listener(event);
  }
}

function keyOf(namespace: string | undefined, name: string): string {
  return `${namespace ?? ""}/${name}`;
}

function withRevision(object: KubeObject, revision: number): KubeObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } };
}
