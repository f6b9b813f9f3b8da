// (to come)
import type { Server } from "node:net";
import type { Result } from "../base/result.ts";
import type { ClusterError } from "./failure.ts";
import type { InsideConfig } from "./task.ts";
export type ApiSocket =
  | { readonly kind: "server"; readonly server: Server }
  | { readonly kind: "fd"; readonly fd: number };
export function runInside(_c: InsideConfig, _s: ApiSocket, _a: AbortSignal): Promise<Result<number, ClusterError>> {
  return Promise.reject(new Error("later"));
}
