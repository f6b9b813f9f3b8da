// Pages about the traces that the local cluster has stored: lists, one as a tree, services, and how the store is.

import type { TraceQuery, TraceReader } from "../traces/trace.ts";
import { type Answer, text } from "./debug-pages.ts";

export const TRACE_PATH = "/debug/traces";

export const TRACE_PAGES = [
  [
    `${TRACE_PATH}?service=S&operation=O&minDurationMs=N&error=true&since=MS&limit=N`,
    "the newest traces that fit, as JSON",
  ],
  [`${TRACE_PATH}/ID`, "one trace as a tree"],
  [`${TRACE_PATH}/services`, "the services that have spans, with their operations"],
  [`${TRACE_PATH}/stats`, "what the trace store has kept and dropped"],
] as const;

/** `rest` is the path behind `/debug/traces`. */
export async function tracePage(
  reader: TraceReader | undefined,
  rest: string,
  query: URLSearchParams,
): Promise<Answer> {
  if (reader === undefined) return text(404, "this control plane stores no traces\n");
  switch (rest) {
    case "": {
      const read = readQuery(query);
      return typeof read === "string" ? text(400, `${read}\n`) : json({ traces: await reader.find(read) });
    }
    case "/services":
      return json({ services: await reader.services() });
    case "/stats":
      return json(await reader.stats());
    default: {
      const trace = await reader.get(rest.slice(1));
      return trace === undefined ? text(404, `there is no trace ${rest.slice(1)}\n`) : json(trace);
    }
  }
}

/** The text says which one is wrong. */
function readQuery(query: URLSearchParams): TraceQuery | string {
  const numbers: { minDurationMs?: number; since?: number; limit?: number } = {};
  for (const name of ["minDurationMs", "since", "limit"] as const) {
    const given = query.get(name);
    if (given === null || given === "") continue;
    const number = Number(given);
    if (!Number.isFinite(number) || number < 0) return `${name}=${given} is no number`;
    numbers[name] = number;
  }
  return {
    service: query.get("service") ?? "",
    operation: query.get("operation") ?? "",
    error: query.get("error") === "true",
    ...numbers,
  };
}

function json(value: unknown): Answer {
  return { status: 200, type: "application/json", body: `${JSON.stringify(value)}\n` };
}
