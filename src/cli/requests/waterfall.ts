// A trace on a terminal: a line for each span, indented below its parent, with a bar for when it ran.

import type { StoredSpan, Trace, TraceNode } from "../../traces/trace.ts";
import { paint } from "../output.ts";
import { durationText } from "./words.ts";

const BAR_CHARS = 32;
const NAME_CHARS_MAX = 72;

interface Row {
  readonly name: string;
  readonly span: StoredSpan | undefined;
}

export function waterfall({ summary, root, left }: Trace): string {
  const rows = rowsOf(root, "", "");
  const width = Math.min(NAME_CHARS_MAX, Math.max(...rows.map(({ name }) => name.length)));
  const { startUs, durationUs } = summary;
  const errors = summary.errors === 0 ? "" : `, ${paint("red", `${summary.errors} failed`)}`;
  const lines = [
    `${paint("bold", summary.traceId)}  ${new Date(startUs / 1000).toISOString()}`,
    `${durationText(durationUs / 1000)}, ${summary.spans} spans${errors}, ${summary.services.join(", ")}`,
    "",
    ...rows.map(({ name, span }) => {
      const cut = name.length > width ? `${name.slice(0, width - 1)}…` : name.padEnd(width);
      if (span === undefined) return `${cut}  ${paint("dim", "not reported")}`;
      const took = durationText(span.durationUs / 1000).padStart(9);
      const text = `${cut}  ${outcomeOf(span).padEnd(8)} ${took}  ${bar(span, startUs, durationUs)}`;
      return span.isError ? paint("red", text) : text;
    }),
  ];
  if (left > 0) lines.push(`and ${left} spans more`);
  return lines.join("\n");
}

function rowsOf({ span, spanId, children }: TraceNode, head: string, below: string): readonly Row[] {
  const name = span === undefined ? `(${spanId || "several roots"})` : `${span.service}  ${span.name}`;
  return [
    { name: `${head}${name}`, span },
    ...children.flatMap((child, i) => {
      const isLast = i === children.length - 1;
      return rowsOf(child, `${below}${isLast ? "└ " : "├ "}`, `${below}${isLast ? "  " : "│ "}`);
    }),
  ];
}

function outcomeOf({ tags, kind }: StoredSpan): string {
  const code = tags["http.status_code"] ?? tags["http.response.status_code"] ?? "";
  const flags = tags["response_flags"] ?? "-";
  const outcome = flags === "-" ? code : `${code} ${flags}`;
  return outcome === "" ? kind : outcome;
}

function bar(span: StoredSpan, startUs: number, durationUs: number): string {
  const scale = BAR_CHARS / Math.max(1, durationUs);
  const from = Math.min(BAR_CHARS - 1, Math.max(0, Math.floor((span.startUs - startUs) * scale)));
  const length = Math.max(1, Math.min(BAR_CHARS - from, Math.round(span.durationUs * scale)));
  return `${"·".repeat(from)}${"━".repeat(length)}${"·".repeat(BAR_CHARS - from - length)}`;
}
