// What is asked of the stored spans: traces by conditions, one trace as a tree, the services and their operations.

import type { SQLInputValue } from "node:sqlite";
import { idOf } from "./bounded.ts";
import { type SpanDatabase, spanOf } from "./database.ts";
import { OPERATIONS_MAX, TRACE_SPANS_MAX, TRACES_MAX, TRACES_SHOWN } from "./limits.ts";
import type { ServiceOperations, Trace, TraceQuery, TraceSummary } from "./trace.ts";
import { treeOf } from "./tree.ts";

export function findTraces(database: SpanDatabase, query: TraceQuery): readonly TraceSummary[] {
  const { where, values } = conditionsOf(query);
  const limit = Math.min(Math.max(1, Math.floor(query.limit ?? TRACES_SHOWN)), TRACES_MAX);
  const found = database.rows(
    `SELECT trace_id, max(start_us) AS newest FROM spans ${where} GROUP BY trace_id ORDER BY newest DESC LIMIT ?`,
    [...values, limit],
  );
  return found.flatMap((row) => summaryOf(database, String(row["trace_id"])) ?? []);
}

export function getTrace(database: SpanDatabase, id: string): Trace | undefined {
  const traceId = idOf(id, 32);
  const summary = traceId === undefined ? undefined : summaryOf(database, traceId);
  if (traceId === undefined || summary === undefined) return undefined;
  const rows = database.rows("SELECT * FROM spans WHERE trace_id = ? ORDER BY start_us LIMIT ?", [
    traceId,
    TRACE_SPANS_MAX,
  ]);
  const root = treeOf(rows.map(spanOf));
  const first = root.span;
  const named = first === undefined ? summary : { ...summary, service: first.service, operation: first.name };
  return { summary: named, root, left: summary.spans - rows.length };
}

export function listServices(database: SpanDatabase): readonly ServiceOperations[] {
  const rows = database.rows("SELECT DISTINCT service, name FROM spans ORDER BY service, name LIMIT ?", [
    OPERATIONS_MAX,
  ]);
  const services = new Map<string, string[]>();
  for (const row of rows) {
    const service = String(row["service"]);
    const operations = services.get(service) ?? [];
    services.set(service, operations);
    operations.push(String(row["name"]));
  }
  return [...services].map(([service, operations]) => ({ service, operations }));
}

export function oldestMs(database: SpanDatabase): number {
  const [row] = database.rows("SELECT min(start_us) AS oldest FROM spans", []);
  return Math.floor(Number(row?.["oldest"] ?? 0) / 1000);
}

function conditionsOf(query: TraceQuery): { readonly where: string; readonly values: readonly SQLInputValue[] } {
  const conditions: string[] = [];
  const values: SQLInputValue[] = [];
  const { service = "", operation = "", minDurationMs = 0, since = 0 } = query;
  if (service !== "") {
    // A range, which an index serves, where LIKE would not.
    conditions.push("(service = ? OR (service >= ? AND service < ?))");
    values.push(service, `${service}.`, `${service}/`);
  }
  if (operation !== "") {
    conditions.push("name = ?");
    values.push(operation);
  }
  if (minDurationMs > 0) {
    conditions.push("duration_us >= ?");
    values.push(Math.round(minDurationMs * 1000));
  }
  if (query.error === true) conditions.push("is_error = 1");
  if (since > 0) {
    conditions.push("start_us >= ?");
    values.push(Math.round(since * 1000));
  }
  return { where: conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`, values };
}

function summaryOf(database: SpanDatabase, traceId: string): TraceSummary | undefined {
  const [sums] = database.rows(
    `SELECT count(*) AS spans, min(start_us) AS start, max(start_us + duration_us) AS end, sum(is_error) AS errors
      FROM spans WHERE trace_id = ?`,
    [traceId],
  );
  const [first] = database.rows(
    "SELECT service, name FROM spans WHERE trace_id = ? ORDER BY parent_id IS NOT NULL, start_us, duration_us DESC LIMIT 1",
    [traceId],
  );
  if (sums === undefined || first === undefined) return undefined;
  const services = database.rows("SELECT DISTINCT service FROM spans WHERE trace_id = ? ORDER BY service", [traceId]);
  const startUs = Number(sums["start"]);
  return {
    traceId,
    service: String(first["service"]),
    operation: String(first["name"]),
    startUs,
    durationUs: Number(sums["end"]) - startUs,
    spans: Number(sums["spans"]),
    errors: Number(sums["errors"]),
    services: services.map((row) => String(row["service"])),
  };
}
