// The data directory: everything that a local cluster keeps, and the proof that a directory is one.

import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, join, resolve } from "node:path";
import { isRecord, parseJson } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { ClusterError } from "./failure.ts";

const MARKER = "weft.json";
const LAYOUT = 1;

export interface DataDir {
  readonly root: string;
  readonly lock: string;
  readonly ports: string;
  readonly state: string;
  readonly log: string;
  readonly kubeconfig: string;
  readonly images: string;
  readonly database: string;
  readonly pki: string;
  readonly logs: string;
  readonly run: string;
  /** Of the trace store. */
  readonly traces: string;
}

/** Paths only: whether anything is there is another question. */
export function dataDirAt(path: string): DataDir {
  const root = resolve(path);
  return {
    root,
    lock: join(root, "lock"),
    ports: join(root, "ports.json"),
    state: join(root, "cluster.json"),
    log: join(root, "weft.log"),
    kubeconfig: join(root, "kubeconfig"),
    images: join(root, "images.yaml"),
    database: join(root, "state.db"),
    pki: join(root, "pki"),
    logs: join(root, "logs"),
    run: join(root, "run"),
    traces: join(root, "traces"),
  };
}

/** What the directory is for: a demo begins afresh every time, and never on a user's own cluster. */
export type Purpose = "cluster" | "demo";

/** `.weft/demo`, which `npm start` makes in the default place of a cluster. */
function isDemo(path: string): boolean {
  return basename(path) === "demo" && existsSync(join(path, MARKER));
}

/** Makes the directory, for its owner alone, or refuses one that holds something else. */
export function openDataDir(path: string, purpose: Purpose = "cluster"): Result<DataDir, ClusterError> {
  const dir = dataDirAt(path);
  const marker = join(dir.root, MARKER);
  try {
    if (!existsSync(dir.root)) mkdirSync(dir.root, { recursive: true, mode: 0o700 });
    if (!statSync(dir.root).isDirectory()) return err(notUsable(dir.root, "it is not a directory"));
    if (!existsSync(marker)) {
      const found = readdirSync(dir.root).filter((name) => name !== "images.yaml" && !isDemo(join(dir.root, name)));
      if (found.length > 0) {
        return err(notUsable(dir.root, `it holds other things (${found.slice(0, 3).join(", ")})`));
      }
      writeFileSync(marker, `${JSON.stringify({ layout: LAYOUT, purpose })}\n`);
    }
    accessSync(dir.root, constants.R_OK | constants.W_OK | constants.X_OK);
    for (const folder of [dir.pki, dir.logs, dir.run]) mkdirSync(folder, { recursive: true, mode: 0o700 });
    const layout = parseJson(readFileSync(marker, "utf8"));
    if (!layout.ok || !isRecord(layout.value) || layout.value["layout"] !== LAYOUT) {
      return err(notUsable(dir.root, `${MARKER} in it is of another version of weft`));
    }
    if (purpose === "demo" && layout.value["purpose"] !== "demo") {
      return err(notUsable(dir.root, "it holds a cluster of your own, and the demo begins afresh"));
    }
    return ok(dir);
  } catch (error) {
    return err(notUsable(dir.root, error instanceof Error ? error.message : String(error)));
  }
}

/** With the lock held: objects, logs and images go; the authority and the ports stay. */
export function beginAfresh(dir: DataDir): void {
  for (const suffix of ["", "-wal", "-shm"]) rmSync(`${dir.database}${suffix}`, { force: true });
  rmSync(dir.logs, { recursive: true, force: true });
  rmSync(dir.traces, { recursive: true, force: true });
  rmSync(dir.images, { force: true });
}

export function isDataDir(path: string): boolean {
  return existsSync(join(resolve(path), MARKER));
}

function notUsable(path: string, why: string): ClusterError {
  return {
    message: `cannot use ${path} as data directory: ${why}`,
    next: "Name an empty, new or weft's own directory that you can write, with --data-dir DIR.",
  };
}
