// `weft status`: whether the cluster runs, in which mode, and its pods.

import type { Command } from "commander";
import { isRecord } from "../base/json.ts";
import { type DataDir, dataDirAt } from "../cluster/data-dir.ts";
import { askApi, readCredentials } from "../cluster/remote.ts";
import { type ClusterState, readState } from "../cluster/state.ts";
import { CommandFailure, examples } from "./command.ts";
import { dataDirOption } from "./data-dir.ts";
import { formatOption, paint, printStructured, readFormat, table } from "./output.ts";

interface PodLine {
  readonly namespace: string;
  readonly name: string;
  readonly ready: string;
  readonly status: string;
  readonly restarts: number;
  readonly ip: string;
}

export function define(command: Command): void {
  command
    .addOption(dataDirOption())
    .addOption(formatOption())
    .action(async (options: { dataDir: string; output?: string }) => {
      const dir = dataDirAt(options.dataDir);
      const format = readFormat(options.output);
      const state = readState(dir);
      if (state === undefined) {
        if (format !== "table") await printStructured({ running: false, dataDir: dir.root }, format);
        throw new CommandFailure(`no cluster runs on ${dir.root}`, { next: 'Start one with "weft up -d".' });
      }
      const pods = await readPods(dir);
      if (format === "table") printTable(dir, state, pods);
      else
        await printStructured({ running: true, ...state, dataDir: dir.root, kubeconfig: dir.kubeconfig, pods }, format);
    });
  examples(command, ["weft status", "weft status -o json", "weft status --data-dir .weft/demo"]);
}

function printTable(dir: DataDir, state: ClusterState, pods: readonly PodLine[]): void {
  console.log(`${paint("bold", "weft")} ${state.phase}, process ${state.pid}, since ${state.startedAt}`);
  console.log(`mode        ${state.mode}: ${state.modeReason}`);
  console.log(`api         ${state.api}`);
  console.log(`kubeconfig  ${dir.kubeconfig}`);
  console.log(`data        ${dir.root}\n`);
  if (pods.length === 0) console.log("No pods.");
  else {
    const rows = pods.map((pod) => [pod.namespace, pod.name, pod.ready, pod.status, `${pod.restarts}`, pod.ip]);
    console.log(table(["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "IP"], rows));
  }
}

async function readPods(dir: DataDir): Promise<readonly PodLine[]> {
  const credentials = readCredentials(dir.kubeconfig);
  if (!credentials.ok) throw new CommandFailure(`cannot read ${dir.kubeconfig}: ${credentials.error}`);
  const answer = await askApi(credentials.value, { method: "GET", path: "/api/v1/pods" });
  if (!answer.ok) throw new CommandFailure(`the API does not answer: ${answer.error}`, { next: `See ${dir.log}.` });
  const items = isRecord(answer.value.body) ? answer.value.body["items"] : undefined;
  if (!Array.isArray(items)) throw new CommandFailure(`the API answered ${answer.value.status} without a list of pods`);
  return items.map(podLine);
}

function podLine(pod: unknown): PodLine {
  const metadata = recordOf(pod, "metadata");
  const status = recordOf(pod, "status");
  const containers = isRecord(status) && Array.isArray(status["containerStatuses"]) ? status["containerStatuses"] : [];
  const wanted = recordOf(pod, "spec")["containers"];
  const ready = containers.filter((entry: unknown) => isRecord(entry) && entry["ready"] === true).length;
  const restarts = containers.map((entry: unknown) => (isRecord(entry) ? Number(entry["restartCount"] ?? 0) : 0));
  return {
    namespace: String(metadata["namespace"] ?? ""),
    name: String(metadata["name"] ?? ""),
    ready: `${ready}/${Array.isArray(wanted) ? wanted.length : 0}`,
    status: metadata["deletionTimestamp"] !== undefined ? "Terminating" : waitingReason(containers, status),
    restarts: restarts.reduce((sum, count) => sum + count, 0),
    ip: String(status["podIP"] ?? ""),
  };
}

function waitingReason(containers: readonly unknown[], status: Readonly<Record<string, unknown>>): string {
  for (const container of containers) {
    const reason = recordOf(recordOf(container, "state"), "waiting")["reason"];
    if (typeof reason === "string") return reason;
  }
  return String(status["phase"] ?? "Pending");
}

function recordOf(value: unknown, key: string): Readonly<Record<string, unknown>> {
  const inner = isRecord(value) ? value[key] : undefined;
  return isRecord(inner) ? inner : {};
}
