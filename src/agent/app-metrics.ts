// The application's own metrics, fetched to be merged with the proxy's.

import http from "node:http";
import { err, ok, type Result } from "../base/result.ts";
import { APP_METRICS_BYTES_MAX, APP_METRICS_TIMEOUT_MS } from "./limits.ts";

export interface AppMetricsTarget {
  readonly address: string;
  readonly port: number;
  readonly path: string;
}

export function fetchAppMetrics(target: AppMetricsTarget): Promise<Result<string, string>> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const sent = http.get({
      host: target.address,
      port: target.port,
      path: target.path.startsWith("/") ? target.path : `/${target.path}`,
      headers: { accept: "text/plain;version=0.0.4" },
      agent: false,
    });
    const finish = (result: Result<string, string>) => {
      clearTimeout(timer);
      resolve(result);
      sent.destroy();
    };
    const timer = setTimeout(() => finish(err(`no answer in ${APP_METRICS_TIMEOUT_MS} ms`)), APP_METRICS_TIMEOUT_MS);
    sent.on("error", (error) => finish(err(error.message)));
    sent.once("response", (response) => {
      if (response.statusCode !== 200) return finish(err(`HTTP ${response.statusCode}`));
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > APP_METRICS_BYTES_MAX) finish(err(`more than ${APP_METRICS_BYTES_MAX} bytes`));
        else chunks.push(chunk);
      });
      response.on("error", (error) => finish(err(error.message)));
      response.on("end", () => finish(ok(tidy(Buffer.concat(chunks).toString("utf8")))));
    });
  });
}

/** OpenMetrics ends with a mark that would end the merged page too early. */
function tidy(page: string): string {
  const text = page.replace(/^# EOF\s*$/gm, "").trimEnd();
  return text === "" ? "" : `${text}\n`;
}
