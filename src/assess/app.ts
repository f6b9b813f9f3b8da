// The parts of an application: services, and the workloads behind them.

import type { Tree } from "./tree.ts";

export interface Named {
  readonly namespace: string;
  readonly name: string;
}

export interface AppService extends Named {
  readonly selector: Readonly<Record<string, string>>;
  readonly ports: readonly Tree[];
}

export interface AppWorkload extends Named {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly app: string;
  readonly version: string;
  readonly replicas: number;
  readonly memoryMb: number | undefined;
  readonly spec: Tree;
  readonly variables: readonly { readonly name: string; readonly value: string }[];
}

export function runsBehind({ namespace, selector }: AppService, workload: AppWorkload): boolean {
  const wanted = Object.entries(selector);
  return (
    wanted.length > 0 &&
    workload.namespace === namespace &&
    wanted.every(([key, value]) => workload.labels[key] === value)
  );
}
