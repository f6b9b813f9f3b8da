// The proxy's bundle as a process of its own, ended with the test.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { proxyCommand } from "../../../src/cluster/proxy-command.ts";

const found = await proxyCommand(join(import.meta.dirname, "..", "..", "..", "src", "main.ts"));
if (!found.ok) throw new Error(found.error.message);
const LAUNCHER = join(import.meta.dirname, "..", "..", "..", "bin", "proxy-launcher.js");
const [PROGRAM = process.execPath, ...BEFORE] = found.value;

export interface ProxyProcess {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Standard output and error so far. */
  output(): string;
  /** Resolves with the exit code, or with the signal's name. */
  readonly ended: Promise<number | string>;
}

export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "weft-sidecar-"));
  after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

export function file(name: string, content: unknown): string {
  const path = join(folder(), name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

export function runProxy(args: readonly string[]): ProxyProcess {
  return run([...BEFORE, "proxy", ...args]);
}

/** As `weft proxy` runs it: under the launcher, which replaces it at SIGHUP. */
export function launchProxy(args: readonly string[]): ProxyProcess {
  return run([LAUNCHER, PROGRAM, ...BEFORE, "proxy", ...args]);
}

function run(words: readonly string[]): ProxyProcess {
  const child = spawn(PROGRAM, words, { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (bytes) => (text += String(bytes)));
  const ended = new Promise<number | string>((resolve) => {
    child.on("close", (code, signal) => resolve(code ?? signal ?? ""));
  });
  after(() => {
    child.kill("SIGKILL");
  });
  return { child, pid: child.pid ?? 0, output: () => text, ended };
}

export async function until(check: () => boolean | Promise<boolean>, what: string, ms = 10_000): Promise<void> {
  const end = Date.now() + ms;
  while (Date.now() < end) {
    if (await check()) return;
    await sleep(20);
  }
  throw new Error(`not within ${ms} ms: ${what}`);
}

export async function ready(admin: number, proxy: ProxyProcess): Promise<void> {
  await until(async () => {
    if (proxy.child.exitCode !== null) throw new Error(`the proxy ended: ${proxy.output()}`);
    return (await fetch(`http://127.0.0.1:${admin}/ready`).catch(() => undefined))?.status === 200;
  }, `ready: ${proxy.output()}`);
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

export interface StaticPorts {
  readonly admin: number;
  readonly front: number;
  readonly origin: number;
}

/** One listener that leads everything to one origin. */
export function staticBootstrap(ports: StaticPorts, more: Record<string, unknown> = {}): Record<string, unknown> {
  const address = (port: number) => ({ socket_address: { address: "127.0.0.1", port_value: port } });
  return {
    admin: { address: address(ports.admin) },
    static_resources: {
      listeners: [
        { name: "front", address: address(ports.front), filter_chains: [{ filters: [connectionManager()] }] },
      ],
      clusters: [staticCluster("origin", ports.origin)],
    },
    ...more,
  };
}

export function staticCluster(name: string, port: number): Record<string, unknown> {
  const endpoint = { address: { socket_address: { address: "127.0.0.1", port_value: port } } };
  return {
    name,
    type: "STATIC",
    connect_timeout: "1s",
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint }] }] },
  };
}

export function connectionManager(cluster = "origin"): Record<string, unknown> {
  const extension = "type.googleapis.com/envoy.extensions.filters";
  return {
    name: "hcm",
    typed_config: {
      "@type": `${extension}.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: "front",
      route_config: {
        name: "all",
        virtual_hosts: [{ name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster } }] }],
      },
      http_filters: [
        { name: "envoy.filters.http.router", typed_config: { "@type": `${extension}.http.router.v3.Router` } },
      ],
    },
  };
}
