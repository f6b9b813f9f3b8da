// What is to be done inside a cluster, in a form that can be handed to another process.

import type { Server } from "node:net";
import { isRecord, parseJson } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { ControlPorts } from "./bootstrap.ts";
import type { PublishedPort } from "./publish.ts";

/** The API's socket: opened before the namespaces were made and inherited, or held by this process. */
export type ApiSocket =
  | { readonly kind: "server"; readonly server: Server }
  | { readonly kind: "fd"; readonly fd: number; readonly upstreamFd: number | undefined };

/** The name under which the page's socket is handed on. */
export const DASHBOARD_SOCKET = "dashboard";

export type Task =
  | { readonly kind: "up"; readonly files: readonly string[]; readonly published: readonly PublishedPort[] }
  | {
      readonly kind: "demo";
      /** Judge once and end, instead of showing for good. */
      readonly once: boolean;
      readonly format: "table" | "json" | "yaml";
      readonly startedMs: number;
      readonly examples: string;
      /** How weft is called here. */
      readonly weft: string;
    };

export interface InsideConfig {
  readonly dataDir: string;
  readonly mode: "transparent" | "explicit";
  readonly modeReason: string;
  readonly apiPort: number;
  /** Of the page, on the machine's loopback. */
  readonly dashboardPort: number;
  readonly control: ControlPorts;
  /** The process that holds the lock and that signals go to: on the machine, not inside. */
  readonly holderPid: number;
  /** The program's entry, for starting it again. */
  readonly main: string;
  /** What the sidecars are. */
  readonly proxy: ProxyChoice;
  readonly task: Task;
}

/** A pod can ask for Envoy where the others run weft's own: its path is known, or why there is none. */
export interface ProxyChoice {
  readonly kind: "weft" | "envoy";
  readonly envoy: Result<string, string>;
}

export function writeConfig(config: InsideConfig): string {
  return JSON.stringify(config);
}

/** Undefined fields mean that something else wrote it. */
export function readConfig(text: string): Result<InsideConfig, string> {
  const parsed = parseJson(text);
  if (!parsed.ok) return parsed;
  const value = isRecord(parsed.value) ? parsed.value : {};
  const task = readTask(value["task"]);
  const control = readPorts(value["control"]);
  const proxy = readProxy(value["proxy"]);
  const { dataDir, mode, modeReason, apiPort, dashboardPort, holderPid, main } = value;
  if (task === undefined || control === undefined || proxy === undefined) return FOREIGN;
  if (mode !== "transparent" && mode !== "explicit") return FOREIGN;
  if (typeof dataDir !== "string" || typeof modeReason !== "string" || typeof main !== "string") return FOREIGN;
  if (typeof apiPort !== "number" || typeof dashboardPort !== "number" || typeof holderPid !== "number") return FOREIGN;
  return ok({ dataDir, mode, modeReason, apiPort, dashboardPort, control, holderPid, main, proxy, task });
}

const FOREIGN = err("not written by weft");

function readTask(value: unknown): Task | undefined {
  if (!isRecord(value)) return undefined;
  const { kind, files, once, format, startedMs, examples, weft } = value;
  if (kind === "up" && Array.isArray(files)) {
    const published = Array.isArray(value["published"]) ? value["published"].flatMap(readPublished) : [];
    return { kind, files: files.map(String), published };
  }
  if (kind !== "demo" || typeof startedMs !== "number" || typeof examples !== "string") return undefined;
  if (typeof weft !== "string" || (format !== "table" && format !== "json" && format !== "yaml")) return undefined;
  return { kind, once: once === true, format, startedMs, examples, weft };
}

function readPublished(value: unknown): readonly PublishedPort[] {
  const { namespace, service, port, hostPort } = isRecord(value) ? value : {};
  if (typeof namespace !== "string" || typeof service !== "string") return [];
  return typeof port === "number" && typeof hostPort === "number" ? [{ namespace, service, port, hostPort }] : [];
}

function readProxy(value: unknown): ProxyChoice | undefined {
  const { kind, envoy } = isRecord(value) ? value : {};
  if ((kind !== "weft" && kind !== "envoy") || !isRecord(envoy)) return undefined;
  const { ok: isFound, value: path, error } = envoy;
  if (isFound === true) return typeof path === "string" ? { kind, envoy: ok(path) } : undefined;
  return typeof error === "string" ? { kind, envoy: err(error) } : undefined;
}

function readPorts(value: unknown): ControlPorts | undefined {
  if (!isRecord(value)) return undefined;
  const { plain, tls, debug } = value;
  if (typeof plain !== "number" || typeof tls !== "number" || typeof debug !== "number") return undefined;
  return { plain, tls, debug };
}
