// The ports of a cluster on this machine: free ones at first, then always the same, unless a flag fixes them.

import { readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { isRecord, parseJson } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { DataDir } from "./data-dir.ts";
import type { ClusterError } from "./failure.ts";

const HOST = "127.0.0.1";

/** Listening already, so that nobody else can take the port between the choice and its use. */
export interface OpenPort {
  readonly server: Server;
  readonly port: number;
}

/** `fixed` is what the flag says: then only that one will do. */
export async function openApiPort(dir: DataDir, fixed: number | undefined): Promise<Result<OpenPort, ClusterError>> {
  const wanted = fixed ?? recordedPort(dir);
  const first = await listen(wanted ?? 0);
  if (first.ok) return keep(dir, first.value);
  if (fixed !== undefined) {
    return err({
      message: `port ${fixed} (--api-port) on ${HOST} cannot be used: ${first.error}`,
      next: "Stop what listens there, or give another --api-port; without the flag weft finds a free one.",
    });
  }
  const second = await listen(0);
  if (second.ok) return keep(dir, second.value);
  return err({ message: `no port on ${HOST} can be opened: ${second.error}`, next: "Allow listening on loopback." });
}

function keep(dir: DataDir, open: OpenPort): Result<OpenPort, ClusterError> {
  writeFileSync(dir.ports, `${JSON.stringify({ api: open.port })}\n`);
  return ok(open);
}

function recordedPort(dir: DataDir): number | undefined {
  try {
    const parsed = parseJson(readFileSync(dir.ports, "utf8"));
    const port = parsed.ok && isRecord(parsed.value) ? parsed.value["api"] : undefined;
    return typeof port === "number" && Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined;
  } catch {
    return undefined;
  }
}

function listen(port: number): Promise<Result<OpenPort, string>> {
  return new Promise((resolve) => {
    const server = createServer({ pauseOnConnect: true });
    server.once("error", (error) => resolve(err(error.message)));
    server.listen(port, HOST, () => {
      const address = server.address();
      resolve(ok({ server, port: typeof address === "object" && address !== null ? address.port : port }));
    });
  });
}
