// A whole local cluster, as `weft up` starts it, for real kubectl. One for a file of tests: it takes seconds to start.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Run } from "./kubectl.ts";

const WEFT = fileURLToPath(new URL("../../../bin/weft.js", import.meta.url));
const START_TIMEOUT_MS = 60_000;
const RUN_TIMEOUT_MS = 60_000;

export interface Cluster {
  readonly dataDir: string;
  readonly env: NodeJS.ProcessEnv;
  /** `words` are split at blanks; what has blanks of its own goes into `more`. */
  kubectl(words: string, options?: { readonly more?: readonly string[]; readonly input?: string }): Promise<Run>;
  weft(words: string, options?: { readonly more?: readonly string[]; readonly input?: string }): Promise<Run>;
  close(): Promise<void>;
}

const GROUPS: ReadonlySet<string> = new Set(["ca", "authz", "image"]);

export async function startCluster(): Promise<Cluster> {
  const dataDir = mkdtempSync(join(tmpdir(), "weft-kubectl-"));
  const child = spawn(process.execPath, [WEFT, "up", "--data-dir", dataDir], { stdio: ["ignore", "pipe", "pipe"] });
  await ready(child);
  const env = { ...process.env, KUBECONFIG: join(dataDir, "kubeconfig"), HOME: dataDir };
  return {
    dataDir,
    env,
    kubectl: (words, { more = [], input } = {}) => run("kubectl", [...words.split(" "), ...more], { env, input }),
    weft: (words, { more = [], input } = {}) => {
      const all = words.split(" ");
      // Options come after the command, which is two words where it is one of a group.
      const length = GROUPS.has(all[0] ?? "") ? 2 : 1;
      const given = [...all.slice(0, length), "--data-dir", dataDir, ...all.slice(length), ...more];
      return run(process.execPath, [WEFT, ...given], { env, input });
    },
    close: async () => {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = "";
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`the cluster did not start in ${START_TIMEOUT_MS} ms: ${said}`));
    }, START_TIMEOUT_MS);
    const take = (chunk: Buffer): void => {
      said += chunk.toString();
      if (!said.includes("KUBECONFIG=")) return;
      clearTimeout(timer);
      resolve();
    };
    child.stdout?.on("data", take);
    child.stderr?.on("data", take);
    child.on("exit", (code) => {
      clearTimeout(timer);
      reject(new Error(`the cluster ended with ${code}: ${said}`));
    });
  });
}

function run(
  program: string,
  argv: readonly string[],
  { env, input }: { readonly env: NodeJS.ProcessEnv; readonly input: string | undefined },
): Promise<Run> {
  return new Promise((resolve) => {
    const child = execFile(program, argv, { env, timeout: RUN_TIMEOUT_MS }, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
      resolve({ code, out, err });
    });
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input ?? "");
  });
}

/** Asks again until the answer is what is wanted. */
export async function until(look: () => Promise<Run>, wanted: RegExp, what: string): Promise<string> {
  const deadlineMs = Date.now() + 60_000;
  for (;;) {
    const { out, err } = await look();
    if (wanted.test(out)) return out;
    if (Date.now() > deadlineMs) throw new Error(`waited too long for ${what}: ${out}${err}`);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}
