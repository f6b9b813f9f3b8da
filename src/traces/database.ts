// Spans on disk: one table, bounded by number, bytes and age; the oldest go first.

import { rmSync } from "node:fs";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { isRecord, parseJson } from "../base/json.ts";
import {
  AGE_MAX_MS,
  FILE_BYTES_MAX,
  LOG_BYTES_MAX,
  REMOVED_SHARE,
  SPAN_BYTES_MAX,
  SPANS_MAX,
  WRITE_RETRY_MS,
} from "./limits.ts";
import { kindOf, tagsOf } from "./read-trace.ts";
import type { SpanEvent, StoredSpan } from "./trace.ts";

export interface DatabaseBounds {
  readonly spans: number;
  readonly bytes: number;
  readonly fileBytes: number;
  readonly ageMs: number;
  /** How long nothing is written after it could not be. */
  readonly retryMs: number;
}

export const DEFAULT_BOUNDS: DatabaseBounds = {
  spans: SPANS_MAX,
  bytes: SPAN_BYTES_MAX,
  fileBytes: FILE_BYTES_MAX,
  ageMs: AGE_MAX_MS,
  retryMs: WRITE_RETRY_MS,
};

// Whole numbers are exact up to 2^53, and microseconds since 1970 stay below for two centuries.
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS spans (
    id INTEGER PRIMARY KEY,
    trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL,
    parent_id TEXT,
    kind TEXT NOT NULL,
    shared INTEGER NOT NULL,
    service TEXT NOT NULL,
    name TEXT NOT NULL,
    start_us INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    is_error INTEGER NOT NULL,
    body TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    at_ms INTEGER NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX IF NOT EXISTS one ON spans (trace_id, span_id, kind, service);
  CREATE INDEX IF NOT EXISTS by_service ON spans (service, start_us);
  CREATE INDEX IF NOT EXISTS by_start ON spans (start_us);
`;
const PAGE_BYTES = 4096;
/** What a row has beside its texts, with its places in the indexes. */
const ROW_BYTES = 200;

type Row = Readonly<Record<string, unknown>>;

export class SpanDatabase {
  readonly #database: DatabaseSync;
  readonly #bounds: DatabaseBounds;
  readonly #insert: StatementSync;
  #spans = 0;
  #bytes = 0;
  removed = 0;

  private constructor(database: DatabaseSync, bounds: DatabaseBounds) {
    this.#database = database;
    this.#bounds = bounds;
    this.#insert = database.prepare(
      `INSERT INTO spans (trace_id, span_id, parent_id, kind, shared, service, name, start_us, duration_us, is_error, body,
        bytes, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    );
    this.#count();
  }

  /** A file that is no database any more is begun anew: traces are no treasure. Throws where the disk can't be written to. */
  static open(path: string, bounds: DatabaseBounds): SpanDatabase {
    try {
      return new SpanDatabase(openFile(path, bounds), bounds);
    } catch (error) {
      if (!isDamaged(error)) throw error;
      for (const end of ["", "-wal", "-shm"]) rmSync(`${path}${end}`, { force: true });
      return new SpanDatabase(openFile(path, bounds), bounds);
    }
  }

  get spans(): number {
    return this.#spans;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** All of them or none. One that is there already stays as it is. Throws where the disk is full. */
  add(spans: readonly StoredSpan[], nowMs: number): void {
    let [added, bytes] = [0, 0];
    this.#database.exec("BEGIN");
    try {
      for (const span of spans) {
        const size = this.#write(span, nowMs);
        if (size > 0) added += 1;
        bytes += size;
      }
      this.#database.exec("COMMIT");
    } catch (error) {
      // A full disk may have rolled back already.
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
    this.#spans += added;
    this.#bytes += bytes;
    this.#makeRoom();
  }

  /** Those that are too old. */
  expire(nowMs: number): void {
    const before = this.#spans;
    const { changes } = this.#database
      .prepare("DELETE FROM spans WHERE id <= (SELECT max(id) FROM spans WHERE at_ms < ?)")
      .run(nowMs - this.#bounds.ageMs);
    if (Number(changes) === 0) return;
    this.#count();
    this.removed += before - this.#spans;
  }

  /** Also where a full disk has to be made less full. */
  removeOldest(share: number): void {
    const wanted = Math.max(1, Math.ceil(this.#spans * share));
    const [edge] = this.rows(
      "SELECT max(id) AS id, sum(bytes) AS bytes FROM (SELECT * FROM spans ORDER BY id LIMIT ?)",
      [wanted],
    );
    if (typeof edge?.["id"] !== "number") return;
    const { changes } = this.#database.prepare("DELETE FROM spans WHERE id <= ?").run(edge["id"]);
    this.#spans -= Number(changes);
    this.#bytes -= Number(edge["bytes"]);
    this.removed += Number(changes);
  }

  rows(sql: string, values: readonly SQLInputValue[]): readonly Row[] {
    return this.#database.prepare(sql).all(...values);
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  /** Its bytes; 0: it was there. */
  #write(span: StoredSpan, nowMs: number): number {
    const { traceId, spanId, parentId, kind, service, name, tags, events } = span;
    const body = JSON.stringify({ tags, events });
    const bytes = ROW_BYTES + Buffer.byteLength(body) + service.length + name.length;
    const ids = [traceId, spanId, parentId ?? null, kind, span.shared ? 1 : 0, service, name];
    const { startUs, durationUs, isError } = span;
    const { changes } = this.#insert.run(...ids, startUs, durationUs, isError ? 1 : 0, body, bytes, nowMs);
    return Number(changes) === 0 ? 0 : bytes;
  }

  #makeRoom(): void {
    const { spans, bytes } = this.#bounds;
    while (this.#spans > 0 && (this.#spans > spans || this.#bytes > bytes)) {
      this.removeOldest(Math.max(REMOVED_SHARE, 1 - spans / this.#spans));
    }
  }

  #count(): void {
    const [row] = this.rows("SELECT count(*) AS spans, coalesce(sum(bytes), 0) AS bytes FROM spans", []);
    this.#spans = Number(row?.["spans"] ?? 0);
    this.#bytes = Number(row?.["bytes"] ?? 0);
  }
}

function openFile(path: string, bounds: DatabaseBounds): DatabaseSync {
  const database = new DatabaseSync(path);
  try {
    database.exec(`
      PRAGMA page_size = ${PAGE_BYTES};
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = OFF;
      PRAGMA journal_size_limit = ${LOG_BYTES_MAX};
      PRAGMA max_page_count = ${Math.ceil(bounds.fileBytes / PAGE_BYTES)};
      ${SCHEMA}
    `);
  } catch (error) {
    database.close();
    throw error;
  }
  return database;
}

/** SQLITE_CORRUPT or SQLITE_NOTADB; SQLITE_ERROR: of another schema. */
function isDamaged(error: unknown): boolean {
  const code = error instanceof Error && "errcode" in error ? Number(error.errcode) & 0xff : 0;
  return code === 11 || code === 26 || code === 1;
}

export function spanOf(row: Row): StoredSpan {
  const parsed = parseJson(textOf(row["body"]));
  const body = parsed.ok && isRecord(parsed.value) ? parsed.value : {};
  const parentId = textOf(row["parent_id"]);
  return {
    traceId: textOf(row["trace_id"]),
    spanId: textOf(row["span_id"]),
    parentId: parentId === "" ? undefined : parentId,
    kind: kindOf(row["kind"]),
    shared: row["shared"] === 1,
    service: textOf(row["service"]),
    name: textOf(row["name"]),
    startUs: Number(row["start_us"]),
    durationUs: Number(row["duration_us"]),
    isError: row["is_error"] === 1,
    tags: tagsOf(body["tags"]),
    events: (Array.isArray(body["events"]) ? body["events"] : [])
      .filter(isRecord)
      .map(({ atUs, name, tags }): SpanEvent => ({ atUs: Number(atUs), name: textOf(name), tags: tagsOf(tags) })),
  };
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
