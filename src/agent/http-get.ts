// One question over HTTP to somebody in the same pod: bounded in time and bytes.

import http from "node:http";
import { err, ok, type Result } from "../base/result.ts";

export interface Question {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly method?: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly bytesMax: number;
}

/** The answer's text where it is 200. */
export function ask(question: Question): Promise<Result<string, string>> {
  const { timeoutMs, bytesMax, ...to } = question;
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const sent = http.request({ ...to, agent: false });
    const finish = (result: Result<string, string>) => {
      clearTimeout(timer);
      resolve(result);
      sent.destroy();
    };
    const timer = setTimeout(() => finish(err(`no answer in ${timeoutMs} ms`)), timeoutMs);
    sent.on("error", (error) => finish(err(error.message)));
    sent.once("response", (response) => {
      if (response.statusCode !== 200) return finish(err(`HTTP ${response.statusCode}`));
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > bytesMax) finish(err(`more than ${bytesMax} bytes`));
        else chunks.push(chunk);
      });
      response.on("error", (error) => finish(err(error.message)));
      response.on("end", () => finish(ok(Buffer.concat(chunks).toString("utf8"))));
    });
    sent.end();
  });
}
