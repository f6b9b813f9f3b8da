// What the log says once of resources that have no status of their own to say it.

import { MESH_CONFIG_NAME } from "../api/istio/mesh-config.ts";
import type { ResourceSet } from "../ingest/resources.ts";
import { type MeshSnapshot, sameShapes } from "../model/snapshot.ts";
import { WARNINGS_REMEMBERED_MAX } from "./limits.ts";

const AS_TCP: ReadonlySet<string> = new Set(["http2", "grpc", "kubernetes.io/h2c"]);

export class Warnings {
  readonly #log: (level: "warn", message: string) => void;
  readonly #told = new Set<string>();
  #resources: ResourceSet | undefined;

  constructor(log: (level: "warn", message: string) => void) {
    this.#log = log;
  }

  tell(snapshot: MeshSnapshot): void {
    // What is told of services is told of their ports, whatever their endpoints.
    if (!sameShapes(snapshot.resources, this.#resources)) this.#tellTcp(snapshot);
    this.#resources = snapshot.resources;
    this.#tellMeshConfig(snapshot);
  }

  #tellTcp({ services }: MeshSnapshot): void {
    for (const { host, ports } of services.values()) {
      const port = ports.find(({ declared }) => AS_TCP.has(declared));
      if (port === undefined) continue;
      this.#once(
        `${host}: port ${port.number} is ${port.declared}, which is carried as TCP over mTLS for now: routes and HTTP rules don't apply to it`,
      );
    }
  }

  #tellMeshConfig({ meshSource }: MeshSnapshot): void {
    const source = `MeshConfig (ConfigMap ${meshSource.config.rootNamespace}/${MESH_CONFIG_NAME})`;
    for (const { severity, path, message } of meshSource.issues) {
      const text = `${source}: ${path === "" ? "" : `${path}: `}${message}`;
      this.#once(severity === "error" ? `${text}; what was in force before stays` : text);
    }
  }

  #once(text: string): void {
    if (this.#told.has(text)) return;
    if (this.#told.size >= WARNINGS_REMEMBERED_MAX) this.#told.clear();
    this.#told.add(text);
    this.#log("warn", text);
  }
}
