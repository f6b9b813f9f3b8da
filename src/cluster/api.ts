// The API server as a part of the cluster: on the socket that was opened for it, with its kubeconfig written.

import { chmodSync, writeFileSync } from "node:fs";
import type { ApiError } from "../api/client.ts";
import type { Kind } from "../api/kind.ts";
import type { AdmissionPlugin } from "../apiserver/admission.ts";
import type { PodRuntime } from "../apiserver/pod-runtime.ts";
import type { ListenOn } from "../apiserver/server.ts";
import { type ApiServer, startApiServer } from "../apiserver/start.ts";
import { systemClock } from "../base/clock.ts";
import { err, type Result } from "../base/result.ts";
import type { DataDir } from "./data-dir.ts";
import type { ClusterError } from "./failure.ts";
import type { ApiSocket } from "./task.ts";

export interface ApiOptions {
  readonly dir: DataDir;
  readonly kinds: readonly Kind[];
  readonly socket: ApiSocket;
  readonly admission: readonly AdmissionPlugin[];
  readonly podRuntime: PodRuntime;
}

export async function openApi(options: ApiOptions): Promise<Result<ApiServer, ClusterError>> {
  const { dir, kinds, admission, podRuntime } = options;
  const started = await startApiServer({
    dataDir: dir.root,
    kinds,
    listen: await listenOn(options.socket),
    admission,
    podRuntime,
    clock: systemClock,
  });
  if (!started.ok) {
    return err({ message: started.error, next: "Correct that and start again, or name another --data-dir." });
  }
  // It holds a credential: readable by its owner alone, also where an older file was not.
  writeFileSync(dir.kubeconfig, started.value.kubeconfig(), { mode: 0o600 });
  chmodSync(dir.kubeconfig, 0o600);
  return started;
}

/** The node exists only after the API that it registers with: until then it has no pods to ask. */
export class LateRuntime implements PodRuntime {
  #runtime: PodRuntime | undefined;

  set(runtime: PodRuntime): void {
    this.#runtime = runtime;
  }

  async logs(...args: Parameters<PodRuntime["logs"]>): ReturnType<PodRuntime["logs"]> {
    return this.#runtime === undefined ? err(NOT_YET) : this.#runtime.logs(...args);
  }

  async exec(...args: Parameters<PodRuntime["exec"]>): ReturnType<PodRuntime["exec"]> {
    return this.#runtime === undefined ? err(NOT_YET) : this.#runtime.exec(...args);
  }

  async attach(...args: Parameters<PodRuntime["attach"]>): ReturnType<PodRuntime["attach"]> {
    return this.#runtime === undefined ? err(NOT_YET) : this.#runtime.attach(...args);
  }

  async dial(...args: Parameters<PodRuntime["dial"]>): ReturnType<PodRuntime["dial"]> {
    return this.#runtime === undefined ? err(NOT_YET) : this.#runtime.dial(...args);
  }

  async usage(): ReturnType<PodRuntime["usage"]> {
    return this.#runtime === undefined ? err(NOT_YET) : this.#runtime.usage();
  }
}

const NOT_YET: ApiError = { code: 503, reason: "ServiceUnavailable", message: "the node is still starting: try again" };

/** A port of this process was only held so that nobody else takes it. */
async function listenOn(socket: ApiSocket): Promise<ListenOn> {
  if (socket.kind === "fd") return { fd: socket.fd };
  const address = socket.server.address();
  await new Promise((resolve) => socket.server.close(resolve));
  return { host: "127.0.0.1", port: typeof address === "object" && address !== null ? address.port : 0 };
}
