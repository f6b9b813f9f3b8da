// The application's own metrics, fetched to be merged with the proxy's.

import { ok, type Result } from "../base/result.ts";
import { ask } from "./http-get.ts";
import { APP_METRICS_BYTES_MAX, APP_METRICS_TIMEOUT_MS } from "./limits.ts";

export interface AppMetricsTarget {
  readonly address: string;
  readonly port: number;
  readonly path: string;
}

export async function fetchAppMetrics(target: AppMetricsTarget): Promise<Result<string, string>> {
  const page = await ask({
    host: target.address,
    port: target.port,
    path: target.path.startsWith("/") ? target.path : `/${target.path}`,
    headers: { accept: "text/plain;version=0.0.4" },
    timeoutMs: APP_METRICS_TIMEOUT_MS,
    bytesMax: APP_METRICS_BYTES_MAX,
  });
  return page.ok ? ok(tidy(page.value)) : page;
}

/** OpenMetrics ends with a mark that would end the merged page too early. */
function tidy(page: string): string {
  const text = page.replace(/^# EOF\s*$/gm, "").trimEnd();
  return text === "" ? "" : `${text}\n`;
}
