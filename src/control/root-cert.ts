// The ConfigMap istio-ca-root-cert in every namespace: what a sidecar trusts before it has a certificate.

import type { KubeClient } from "../api/client.ts";
import { configMapKind } from "../api/kubernetes/config-map.ts";
import { namespaceKind } from "../api/kubernetes/namespace.ts";
import type { Clock } from "../base/clock.ts";
import { ROOT_CERT_RETRY_MS } from "./limits.ts";

const NAME = "istio-ca-root-cert";
const KEY = "root-cert.pem";

export interface RootCertOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly rootPem: () => string;
  readonly log: (level: "info" | "warn", message: string) => void;
}

export interface RootCertDistribution {
  /** The bundle has changed. */
  refresh(): void;
  stop(): void;
}

/** Writes it to each namespace as it appears, and again when somebody changes or removes it. */
export function distributeRootCert(options: RootCertOptions): RootCertDistribution {
  const { client } = options;
  const namespaces = new Set<string>();
  let stopped = false;

  const ensure = async (namespace: string): Promise<void> => {
    if (stopped || !namespaces.has(namespace)) return;
    const data = { [KEY]: options.rootPem() };
    const found = await client.get(configMapKind, { namespace, name: NAME });
    if (found.ok && found.value.data?.[KEY] === data[KEY]) return;
    const written = found.ok
      ? await client.mergePatch(configMapKind, { namespace, name: NAME }, { body: { data } })
      : await client.create(configMapKind, {
          apiVersion: "v1",
          kind: "ConfigMap",
          metadata: { name: NAME, namespace, labels: { "istio.io/config": "true" } },
          data,
        });
    if (written.ok || written.error.reason === "AlreadyExists" || written.error.reason === "NotFound" || stopped)
      return;
    options.log("warn", `ConfigMap ${namespace}/${NAME}: ${written.error.message}; it is tried again`);
    options.clock.after(ROOT_CERT_RETRY_MS, () => void ensure(namespace));
  };

  const namespaceWatch = client.watch(namespaceKind, {}, (event) => {
    if (event.type === "synced") return;
    const { name, deletionTimestamp } = event.object.metadata;
    if (event.type === "deleted" || deletionTimestamp !== undefined) {
      namespaces.delete(name);
      return;
    }
    if (namespaces.has(name)) return;
    namespaces.add(name);
    void ensure(name);
  });
  const mapWatch = client.watch(configMapKind, { fieldSelector: `metadata.name=${NAME}` }, (event) => {
    if (event.type === "synced" || event.object.metadata.name !== NAME) return;
    const intact = event.type !== "deleted" && event.object.data?.[KEY] === options.rootPem();
    if (!intact) void ensure(event.object.metadata.namespace ?? "");
  });
  return {
    refresh: () => {
      for (const namespace of namespaces) void ensure(namespace);
    },
    stop: () => {
      stopped = true;
      namespaceWatch.stop();
      mapWatch.stop();
    },
  };
}
