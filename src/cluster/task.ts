// What is to be done inside a cluster, in a form that can be handed to another process.

import type { Server } from "node:net";
import { isRecord, parseJson } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { ControlPorts } from "./bootstrap.ts";

/** The API's socket: opened before the namespaces were made and inherited, or held by this process. */
export type ApiSocket =
  | { readonly kind: "server"; readonly server: Server }
  | { readonly kind: "fd"; readonly fd: number; readonly upstreamFd: number | undefined };

export type Task =
  | { readonly kind: "up"; readonly files: readonly string[] }
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
  readonly control: ControlPorts;
  /** The process that holds the lock and that signals go to: on the machine, not inside. */
  readonly holderPid: number;
  /** The program's entry, for starting it again. */
  readonly main: string;
  readonly task: Task;
}

export function writeConfig(config: InsideConfig): string {
  return JSON.stringify(config);
}

/** Only ever written by `writeConfig` of the same program: what is checked here is that it was. */
export function readConfig(text: string): Result<InsideConfig, string> {
  const parsed = parseJson(text);
  if (!parsed.ok) return parsed;
  if (!isRecord(parsed.value) || !isRecord(parsed.value["task"])) return err("not written by weft");
  return ok(parsed.value as unknown as InsideConfig);
}
