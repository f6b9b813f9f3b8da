// Who a proxy is, as it tells its peers: Istio's metadata in a header, from which labels of metrics are made.

import { isRecord } from "../base/json.ts";
import { type Workload, workloadOfMetadata } from "../observe/istio-metrics.ts";
import { Struct } from "../proto/gen/google/protobuf/struct.ts";
import type { SidecarConfig } from "./environment.ts";
import { PEER_BYTES_MAX } from "./limits.ts";

const LABELS = ["app", "version", "service.istio.io/canonical-name", "service.istio.io/canonical-revision"];

/** The value of `x-envoy-peer-metadata`: a Struct of Istio's names, in base64. */
export function writePeer({ nodeMetadata, identity, podName }: SidecarConfig): string {
  const labels = isRecord(nodeMetadata["LABELS"]) ? nodeMetadata["LABELS"] : {};
  const told = LABELS.flatMap((name) => (typeof labels[name] === "string" ? [[name, labels[name]] as const] : []));
  const fields: Record<string, unknown> = {
    NAME: podName,
    NAMESPACE: identity.namespace,
    LABELS: Object.fromEntries(told),
  };
  for (const name of ["CLUSTER_ID", "OWNER", "WORKLOAD_NAME"]) {
    if (typeof nodeMetadata[name] === "string") fields[name] = nodeMetadata[name];
  }
  return Buffer.from(Struct.encode(Struct.wrap(fields)).finish()).toString("base64");
}

/** Undefined where it is none. It comes from another workload: nothing of it is trusted but to be text. */
export function readPeer(header: string): Workload | undefined {
  if (header === "" || header.length > PEER_BYTES_MAX) return undefined;
  try {
    return workloadOfMetadata(Struct.unwrap(Struct.decode(Buffer.from(header, "base64"))));
  } catch {
    return undefined;
  }
}
