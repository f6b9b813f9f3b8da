// Runs the real kubectl against a test server.

import { execFile, execFileSync } from "node:child_process";
import type { TestServer } from "../../unit/apiserver/support/server.ts";

export interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const RUN_TIMEOUT_MS = 30_000;

/** Why these tests can't run here; undefined when they can. */
export function kubectlAbsence(): string | undefined {
  try {
    const text = execFileSync("kubectl", ["version", "--client", "-o", "json"], { encoding: "utf8" });
    const minor = Number.parseInt(JSON.parse(text).clientVersion.minor, 10);
    return minor >= 31 ? undefined : `kubectl 1.31 or later is needed, this is 1.${minor}`;
  } catch {
    return "kubectl is not installed";
  }
}

/** `words` are split at blanks; anything with a blank of its own goes into `more`. */
export function kubectl(
  server: TestServer,
  words: string,
  options: { readonly more?: readonly string[]; readonly input?: string } = {},
): Promise<Run> {
  return new Promise((resolve) => {
    const argv = [...words.split(" "), ...(options.more ?? [])];
    const env = { ...process.env, KUBECONFIG: server.kubeconfigPath, HOME: server.dataDir };
    const child = execFile("kubectl", argv, { env, timeout: RUN_TIMEOUT_MS }, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
      resolve({ code, out, err });
    });
    child.stdin?.end(options.input ?? "");
  });
}
