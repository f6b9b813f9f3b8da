// Probes go to port 15020 instead, so that STRICT mutual TLS doesn't break them: the sidecar asks the application.

import { isRecord } from "../base/json.ts";
import { STATUS_PORT } from "./options.ts";
import { type Json, numberAt, recordAt, recordsAt, stringAt } from "./shape.ts";

const PROBES = { livenessProbe: "livez", readinessProbe: "readyz", startupProbe: "startupz" } as const;
const HOOKS = { preStop: "prestopz", postStart: "poststartz" } as const;
/** Kubernetes' own default, which the sidecar has to know since the probe that it replaces is no longer there. */
const DEFAULT_TIMEOUT_SECONDS = 1;

export interface Rewritten {
  readonly container: Json;
  /** Path on 15020 to what the sidecar asks instead: entries of `ISTIO_KUBE_APP_PROBERS`. */
  readonly probers: Readonly<Record<string, Json>>;
}

export function rewriteProbes(container: Json): Rewritten {
  const name = stringAt(container, "name") ?? "";
  const probers: Record<string, Json> = {};
  const changed: Record<string, unknown> = { ...container };
  for (const [field, word] of Object.entries(PROBES)) {
    const probe = container[field];
    if (!isRecord(probe)) continue;
    const target = targetOf(probe, container);
    if (target === undefined) continue;
    const path = `/app-health/${name}/${word}`;
    probers[path] = { ...target, timeoutSeconds: numberAt(probe, "timeoutSeconds") ?? DEFAULT_TIMEOUT_SECONDS };
    changed[field] = { ...withoutTarget(probe), httpGet: { path, port: STATUS_PORT } };
  }
  const lifecycle = recordAt(container, "lifecycle");
  for (const [field, word] of Object.entries(HOOKS)) {
    const hook = lifecycle[field];
    const target = isRecord(hook) ? targetOf(hook, container) : undefined;
    if (target === undefined) continue;
    const path = `/app-lifecycle/${name}/${word}`;
    probers[path] = target;
    changed["lifecycle"] = { ...recordAt(changed, "lifecycle"), [field]: { httpGet: { path, port: STATUS_PORT } } };
  }
  return { container: changed, probers };
}

/** Undefined where there is nothing to rewrite: exec needs no network, and what asks 15020 already stays. */
function targetOf(probe: Json, container: Json): Json | undefined {
  const httpGet = probe["httpGet"];
  if (isRecord(httpGet)) {
    const port = portNumber(httpGet["port"], container);
    if (port === STATUS_PORT || port === undefined) return undefined;
    return { httpGet: { ...httpGet, port } };
  }
  const tcpSocket = probe["tcpSocket"];
  if (isRecord(tcpSocket)) {
    const port = portNumber(tcpSocket["port"], container);
    return port === undefined ? undefined : { tcpSocket: { ...tcpSocket, port } };
  }
  const grpc = probe["grpc"];
  return isRecord(grpc) ? { grpc } : undefined;
}

function withoutTarget(probe: Json): Json {
  const { httpGet: _http, tcpSocket: _tcp, grpc: _grpc, ...rest } = probe;
  return rest;
}

function portNumber(port: unknown, container: Json): number | undefined {
  if (typeof port === "number") return port;
  if (typeof port !== "string") return undefined;
  if (/^\d+$/.test(port)) return Number(port);
  return numberAt(
    recordsAt(container, "ports").find((entry) => entry["name"] === port),
    "containerPort",
  );
}
