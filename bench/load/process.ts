// The load process seen from the benchmark.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { Check } from "typebox/value";
import { LoadAnswer, type LoadCommand, LoadReady } from "./command.ts";

export class LoadProcess {
  readonly ports: LoadReady;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, ports: LoadReady) {
    this.#child = child;
    this.ports = ports;
  }

  static async start(pinned: readonly string[]): Promise<LoadProcess> {
    const [program = process.execPath, ...args] = [
      ...pinned,
      process.execPath,
      path.join(import.meta.dirname, "main.ts"),
    ];
    const child = spawn(program, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    const [ready]: unknown[] = await once(child, "message");
    if (!Check(LoadReady, ready)) throw new Error("the load process did not say where its origins are");
    return new LoadProcess(child, ready);
  }

  async run(command: LoadCommand): Promise<LoadAnswer> {
    this.#child.send(command);
    const [answer]: unknown[] = await once(this.#child, "message");
    if (!Check(LoadAnswer, answer)) throw new Error("the load process gave no answer");
    return answer;
  }

  stop(): void {
    this.#child.disconnect();
  }
}
