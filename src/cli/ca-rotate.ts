// `weft ca rotate`: the mesh's root is replaced in three steps, each once every proxy is ready for it.

import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { type Command, Option } from "commander";
import { parseDurationMs } from "../api/istio/rules.ts";
import { KEY_ALGORITHMS } from "../identity/key.ts";
import { defaultMeshConfig } from "../model/mesh-config.ts";
import { type Awaited, readTrust, STEP_TEXTS, type Trust } from "./ca-trust.ts";
import { type ClusterApi, openClusterApi } from "./cluster-api.ts";
import { CommandFailure, examples } from "./command.ts";
import { dataDirOption } from "./data-dir.ts";
import { MeshAccess } from "./mesh-access.ts";
import { type Format, formatOption, printStructured, readFormat } from "./output.ts";

const STEPS = ["trust", "sign", "drop"] as const;
type Step = (typeof STEPS)[number];

const POLL_MS = 250;
/** How long the control plane may take to answer a request. */
const ANSWER_MS = 15_000;
const NAME = "istio-ca-rotation";
const AT = `/api/v1/namespaces/${defaultMeshConfig.rootNamespace}/configmaps`;

interface Options {
  readonly step?: string;
  readonly keyAlgorithm: string;
  readonly wait: boolean;
  readonly timeout: string;
  readonly output?: string;
  readonly dataDir: string;
}

export function defineRotate(command: Command): void {
  const rotate = command
    .command("rotate")
    .summary("replace the mesh's root, step by step")
    .description(
      "Takes the next of three steps: trust (a new root is made, and everybody trusts both), sign (certificates are made by the new one), drop (nobody trusts the old one any more, and its key is gone). A step is refused while a proxy is not ready for it. With --wait all that is left is done, each step once every proxy has acknowledged the one before. It may be ended at any time and goes on where it was.",
    )
    .addOption(new Option("--step <step>", "this step; refused where it is not the next").choices([...STEPS]))
    .addOption(
      new Option("--key-algorithm <algorithm>", "of the new root")
        .choices([...KEY_ALGORITHMS])
        .default(KEY_ALGORITHMS[0]),
    )
    .option("--wait", "go on to the end", false)
    .option("--timeout <duration>", "how long to wait for the proxies in each step", "5m")
    .addOption(dataDirOption())
    .addOption(formatOption())
    .action(async (options: Options) => {
      const timeoutMs = parseDurationMs(options.timeout);
      if (timeoutMs === undefined) {
        throw new CommandFailure(`--timeout ${options.timeout} is no duration`, {
          next: "Write 30s or 5m.",
          exitCode: 2,
        });
      }
      const run = new Run(options, timeoutMs);
      await (options.wait ? run.whole() : run.one());
    });
  examples(rotate, [
    "weft ca rotate --wait",
    "weft ca rotate",
    "weft ca rotate --step sign",
    "weft ca rotate --key-algorithm ECDSA-P384 --wait",
    "weft ca rotate --wait -o json | jq -c '.steps[]'",
  ]);
}

class Run {
  readonly #options: Options;
  readonly #timeoutMs: number;
  readonly #format: Format;
  readonly #api: ClusterApi;
  readonly #mesh: MeshAccess;
  readonly #taken: Step[] = [];

  constructor(options: Options, timeoutMs: number) {
    this.#options = options;
    this.#timeoutMs = timeoutMs;
    this.#format = readFormat(options.output);
    this.#api = openClusterApi(options.dataDir);
    this.#mesh = new MeshAccess(options.dataDir);
  }

  async one(): Promise<void> {
    const before = await readTrust(this.#mesh);
    await this.#take(stepOf(this.#options.step) ?? before.nextStep);
    const after = await readTrust(this.#mesh);
    if (this.#format !== "table") return this.#print(after);
    this.#say(awaitedText(after.awaited));
    if (after.step !== "stable") this.#say(`Next: weft ca rotate --step ${after.nextStep}`);
  }

  async whole(): Promise<void> {
    const { step: only } = this.#options;
    let trust = await readTrust(this.#mesh);
    if (only !== undefined && only !== trust.nextStep) await this.#take(stepOf(only) ?? trust.nextStep);
    do {
      if (trust.step !== "stable") await this.#everybody();
      await this.#take(trust.nextStep);
      trust = await readTrust(this.#mesh);
    } while (trust.step !== "stable");
    const done = await this.#everybody();
    if (this.#format !== "table") return this.#print(done);
    this.#say("The rotation is over: every proxy trusts the new root alone.");
  }

  /** Asks for a step and waits for the answer. */
  async #take(step: Step): Promise<void> {
    const id = randomUUID();
    const request = JSON.stringify({ id, step, algorithm: this.#options.keyAlgorithm });
    await this.#write({ request });
    const endMs = performance.now() + ANSWER_MS;
    for (;;) {
      const { answered } = await readTrust(this.#mesh);
      if (answered?.id === id) {
        if (answered.refused !== "") throw refusal(step, answered.refused);
        break;
      }
      if (performance.now() > endMs) {
        throw new CommandFailure(`the control plane did not answer within ${ANSWER_MS / 1000} s`, {
          next: 'See "weft ca status".',
        });
      }
      await pause(POLL_MS);
    }
    this.#taken.push(step);
    this.#say(`${step}: ${STEP_TEXTS[step]}`);
  }

  async #write(data: Readonly<Record<string, string>>): Promise<void> {
    const metadata = { name: NAME, namespace: defaultMeshConfig.rootNamespace };
    const found = await this.#mesh.object(`${AT}/${NAME}`);
    const body = { apiVersion: "v1", kind: "ConfigMap", metadata, data };
    await this.#api.ask(
      found === undefined
        ? { method: "POST", path: AT, body }
        : { method: "PATCH", path: `${AT}/${NAME}`, body: { data }, contentType: "application/merge-patch+json" },
    );
  }

  /** Until nobody is awaited. */
  async #everybody(): Promise<Trust> {
    const endMs = performance.now() + this.#timeoutMs;
    let shown = "";
    for (;;) {
      const trust = await readTrust(this.#mesh);
      if (trust.awaited.length === 0) return trust;
      const text = awaitedText(trust.awaited);
      if (text !== shown) this.#say(text);
      shown = text;
      if (performance.now() > endMs) {
        throw new CommandFailure(`after ${this.#options.timeout} proxies are still awaited: ${text}`, {
          next: 'Nothing is lost: "weft ca rotate --wait" goes on where it was.',
        });
      }
      await pause(POLL_MS);
    }
  }

  async #print({ step, nextStep, roots, awaited }: Trust): Promise<void> {
    if (this.#format === "table") return;
    await printStructured({ steps: this.#taken, step, nextStep, roots, awaited }, this.#format);
  }

  #say(text: string): void {
    if (this.#format === "table") console.log(text);
  }
}

function stepOf(text: string | undefined): Step | undefined {
  return STEPS.find((step) => step === text);
}

function refusal(step: Step, why: string): CommandFailure {
  return new CommandFailure(`the step ${step} was refused: ${why}`, {
    next: '"weft ca status" tells how far the rotation is and who is awaited.',
  });
}

const NAMED_MAX = 5;

function awaitedText(awaited: readonly Awaited[]): string {
  if (awaited.length === 0) return "Every proxy has acknowledged it.";
  const named = awaited.slice(0, NAMED_MAX).map(({ proxy, reason }) => `${proxy} (${reason})`);
  const more = awaited.length > NAMED_MAX ? ` and ${awaited.length - NAMED_MAX} more` : "";
  return `Awaited: ${named.join(", ")}${more}`;
}
