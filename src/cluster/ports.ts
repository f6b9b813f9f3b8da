// The ports of a cluster on this machine: free ones at first, then always the same, unless a flag fixes them.

import { readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { isRecord, parseJson } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { ControlPorts } from "./bootstrap.ts";
import type { DataDir } from "./data-dir.ts";
import type { ClusterError } from "./failure.ts";

const HOST = "127.0.0.1";

/** Listening already, so that nobody else can take the port between the choice and its use. */
export interface OpenPort {
  readonly server: Server;
  readonly port: number;
}

/** `fixed` is what the flag says: then only that one will do. */
export function openApiPort(dir: DataDir, fixed: number | undefined): Promise<Result<OpenPort, ClusterError>> {
  return openKeptPort(dir, { name: "api", flag: "--api-port", fixed });
}

export function openDashboardPort(dir: DataDir, fixed: number | undefined): Promise<Result<OpenPort, ClusterError>> {
  return openKeptPort(dir, { name: "dashboard", flag: "--dashboard-port", fixed });
}

interface WantedPort {
  /** In the record of ports. */
  readonly name: string;
  readonly flag: string;
  readonly fixed: number | undefined;
}

export async function openKeptPort(dir: DataDir, wanted: WantedPort): Promise<Result<OpenPort, ClusterError>> {
  const { name, flag, fixed } = wanted;
  const first = await listen(fixed ?? keptPorts(dir)[name] ?? 0);
  if (first.ok) return keep(dir, name, first.value);
  if (fixed !== undefined) {
    return err({
      message: `port ${fixed} (${flag}) on ${HOST} cannot be used: ${first.error}`,
      next: `Stop what listens there, or give ${flag} another port; where it names none weft finds a free one.`,
    });
  }
  const second = await listen(0);
  if (second.ok) return keep(dir, name, second.value);
  return err({ message: `no port on ${HOST} can be opened: ${second.error}`, next: "Allow listening on loopback." });
}

/** Where the control plane listens in the explicit mode. Pods know these addresses, so they are kept as long as can be. */
export async function chooseControlPorts(dir: DataDir): Promise<Result<ControlPorts, ClusterError>> {
  const chosen: number[] = [];
  const held: Server[] = [];
  for (const name of ["plain", "tls", "debug"] as const) {
    const kept = await listen(keptPorts(dir)[name] ?? 0);
    const open = kept.ok ? kept : await listen(0);
    if (!open.ok) {
      return err({ message: `no port on ${HOST} can be opened: ${open.error}`, next: "Allow listening on loopback." });
    }
    held.push(open.value.server);
    chosen.push(open.value.port);
    keepPorts(dir, { [name]: open.value.port });
  }
  for (const server of held) await new Promise((resolve) => server.close(resolve));
  const [plain = 0, tls = 0, debug = 0] = chosen;
  return ok({ plain, tls, debug });
}

function keep(dir: DataDir, name: string, open: OpenPort): Result<OpenPort, ClusterError> {
  keepPorts(dir, { [name]: open.port });
  return ok(open);
}

export function keepPorts(dir: DataDir, ports: Ports): void {
  writeFileSync(dir.ports, `${JSON.stringify({ ...keptPorts(dir), ...ports })}\n`);
}

type Ports = Readonly<Record<string, number>>;

/** By their names in the record. */
export function keptPorts(dir: DataDir): Ports {
  let text: string;
  try {
    text = readFileSync(dir.ports, "utf8");
  } catch {
    return {};
  }
  const parsed = parseJson(text);
  if (!parsed.ok || !isRecord(parsed.value)) return {};
  return Object.fromEntries(
    Object.entries(parsed.value).filter((entry): entry is [string, number] => isPort(entry[1])),
  );
}

function isPort(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value > 0 && value < 65_536;
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
