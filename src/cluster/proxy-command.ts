// Which command runs weft's proxy: one bundle, since a sidecar's start-up and memory are paid once a pod.

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { err, ok, type Result } from "../base/result.ts";
import type { ClusterError } from "./failure.ts";

/**
 * A proxy's objects die young and its code is small. A young generation of 1 MB, no helper threads for collection, one
 * optimising compiler less, functions compiled when called and an old generation that grows by small steps hold less
 * than two thirds of the memory under load, at the same CPU time. What starting up left is collected once, by name.
 */
const NODE_FLAGS = [
  "--max-semi-space-size=1",
  "--single-threaded-gc",
  "--no-maglev",
  "--max-lazy",
  "--memory-saver-mode",
  "--expose-gc",
];

/**
 * `main` is the program's entry: beside a compiled one lies the bundle, from sources it is made (and cached, in `spare`
 * where nothing else can be written).
 */
export async function proxyCommand(main: string, spare?: string): Promise<Result<readonly string[], ClusterError>> {
  const compiled = join(dirname(main), "proxy.js");
  if (main.endsWith(".js") && existsSync(compiled)) return ok([process.execPath, ...NODE_FLAGS, compiled]);
  const script = join(dirname(dirname(main)), "scripts", "bundle-proxy.js");
  try {
    const module: unknown = await import(pathToFileURL(script).href);
    const bundle: unknown =
      typeof module === "object" && module !== null ? Reflect.get(module, "bundleProxy") : undefined;
    const path: unknown = typeof bundle === "function" ? await bundle(spare) : undefined;
    if (typeof path === "string") return ok([process.execPath, ...NODE_FLAGS, path]);
    return err({ message: `${script} gave no bundle`, next: 'Run "npm ci" again.' });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return err({ message: `the proxy could not be bundled: ${why}`, next: 'Run "npm ci" again.' });
  }
}
