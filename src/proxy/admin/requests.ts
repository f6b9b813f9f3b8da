// The endpoint that tells what became of the requests of the last while.

import { isRecord, parseJson } from "../../base/json.ts";
import { type Answer, type Endpoint, type Query, text } from "./answer.ts";
import { REQUESTS_SHOWN } from "./limits.ts";

export const requestsEndpoint: Endpoint = {
  path: "/weft/requests",
  help: "recent requests as JSON; since=MS (end, Unix time), id=REQUEST or TRACE, failed, limit=N (100)",
  mutates: false,
  async run({ view }, query): Promise<Answer> {
    const limit = Number(query.get("limit") ?? REQUESTS_SHOWN);
    const sinceMs = Number(query.get("since") ?? 0);
    if (!Number.isInteger(limit) || limit < 1 || !Number.isFinite(sinceMs))
      return text("usage: /weft/requests?since=MS&id=ID&failed&limit=N\n", 400);
    const { lines, passedOver } = await view.recent();
    const found = lines
      .flatMap((line) => {
        const parsed = parseJson(line);
        return parsed.ok && isRecord(parsed.value) && fits(parsed.value, sinceMs, query) ? [parsed.value] : [];
      })
      .sort((a, b) => Number(a["endTimeMs"]) - Number(b["endTimeMs"]));
    const body = JSON.stringify({ requests: found.slice(-limit), passedOver });
    return { code: 200, type: "application/json", body: `${body}\n` };
  },
};

function fits(request: Readonly<Record<string, unknown>>, sinceMs: number, query: Query): boolean {
  const id = query.get("id");
  if (Number(request["endTimeMs"]) < sinceMs) return false;
  if (id !== undefined && request["requestId"] !== id && request["traceId"] !== id) return false;
  return !query.has("failed") || Number(request["code"]) >= 400 || request["code"] === 0 || request["flags"] !== "";
}
