// Kubernetes' probes on the application's behalf: the kubelet asks port 15020, and the agent asks the application directly.

import http from "node:http";
import net from "node:net";
import { isRecord, parseJson } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import { PROBE_TIMEOUT_MAX_MS, PROBE_TIMEOUT_MS, PROBES_MAX } from "./limits.ts";

export type Prober =
  | {
      readonly kind: "http";
      readonly scheme: "http" | "https";
      readonly host: string | undefined;
      readonly port: number;
      readonly path: string;
      readonly headers: readonly (readonly [string, string])[];
      readonly timeoutMs: number;
    }
  | { readonly kind: "tcp"; readonly host: string | undefined; readonly port: number; readonly timeoutMs: number }
  | { readonly kind: "grpc"; readonly port: number; readonly service: string; readonly timeoutMs: number }
  /** Can't be asked: fails whenever it is, and says why. The sidecar runs all the same. */
  | { readonly kind: "refused"; readonly message: string };

export interface ProbeOutcome {
  readonly healthy: boolean;
  readonly message: string;
}

/** `ISTIO_KUBE_APP_PROBERS`: path on 15020 to the probe it stands for. */
export function readProbers(text: string | undefined): Result<ReadonlyMap<string, Prober>, readonly string[]> {
  const probers = new Map<string, Prober>();
  if (text === undefined || text === "") return ok(probers);
  const parsed = parseJson(text);
  if (!parsed.ok) return err([parsed.error]);
  if (!isRecord(parsed.value)) return err(["expected a JSON object"]);
  const entries = Object.entries(parsed.value);
  if (entries.length > PROBES_MAX) return err([`${entries.length} probes: at most ${PROBES_MAX}`]);
  for (const [path, probe] of entries) {
    const read = readProber(probe);
    probers.set(
      path,
      read.ok ? read.value : { kind: "refused", message: `ISTIO_KUBE_APP_PROBERS: ${path}: ${read.error}` },
    );
  }
  return ok(probers);
}

function readProber(probe: unknown): Result<Prober, string> {
  if (!isRecord(probe)) return err("expected an object");
  const seconds = probe["timeoutSeconds"];
  const timeoutMs =
    typeof seconds === "number" && seconds > 0 ? Math.min(seconds * 1000, PROBE_TIMEOUT_MAX_MS) : PROBE_TIMEOUT_MS;
  const { httpGet, tcpSocket, grpc } = probe;
  if (isRecord(httpGet)) {
    const port = portOf(httpGet["port"]);
    if (port === undefined) return err("httpGet.port: expected a port number");
    return ok({
      kind: "http",
      scheme: httpGet["scheme"] === "HTTPS" ? "https" : "http",
      host: textOf(httpGet["host"]),
      port,
      path: textOf(httpGet["path"]) ?? "/",
      headers: headersOf(httpGet["httpHeaders"]),
      timeoutMs,
    });
  }
  if (isRecord(tcpSocket)) {
    const port = portOf(tcpSocket["port"]);
    if (port === undefined) return err("tcpSocket.port: expected a port number");
    return ok({ kind: "tcp", host: textOf(tcpSocket["host"]), port, timeoutMs });
  }
  if (isRecord(grpc)) {
    const port = portOf(grpc["port"]);
    if (port === undefined) return err("grpc.port: expected a port number");
    return ok({ kind: "grpc", port, service: textOf(grpc["service"]) ?? "", timeoutMs });
  }
  return err(
    'only httpGet, tcpSocket and grpc are asked by the sidecar: set sidecar.istio.io/rewriteAppHTTPProbers: "false" for others',
  );
}

/** Runs one probe against the application's address. */
export async function probe(prober: Prober, address: string): Promise<ProbeOutcome> {
  switch (prober.kind) {
    case "tcp":
      return probeTcp(prober, address);
    case "http":
      return probeHttp(prober, address);
    case "grpc":
      // Rarely used, and of some weight.
      return (await import("../proto/grpc-health.ts")).checkHealth({ ...prober, address });
    case "refused":
      return { healthy: false, message: prober.message };
  }
}

function probeTcp(prober: Prober & { kind: "tcp" }, address: string): Promise<ProbeOutcome> {
  const place = `${prober.host ?? address}:${prober.port}`;
  return new Promise((resolve) => {
    const socket = net.connect({ host: prober.host ?? address, port: prober.port });
    const finish = (outcome: ProbeOutcome) => {
      socket.destroy();
      resolve(outcome);
    };
    socket.setTimeout(prober.timeoutMs, () =>
      finish({ healthy: false, message: `${place}: no connection in ${prober.timeoutMs} ms` }),
    );
    socket.once("connect", () => finish({ healthy: true, message: "connected" }));
    socket.once("error", (error) => finish({ healthy: false, message: `${place}: ${error.message}` }));
  });
}

async function probeHttp(prober: Prober & { kind: "http" }, address: string): Promise<ProbeOutcome> {
  const place = `${prober.scheme}://${prober.host ?? address}:${prober.port}${prober.path}`;
  // Rarely used, and of some weight.
  const request = prober.scheme === "https" ? (await import("node:https")).request : http.request;
  return new Promise((resolve) => {
    const sent = request({
      host: prober.host ?? address,
      port: prober.port,
      path: prober.path.startsWith("/") ? prober.path : `/${prober.path}`,
      headers: { "user-agent": "kube-probe/weft", accept: "*/*", ...Object.fromEntries(prober.headers) },
      agent: false,
      // The kubelet doesn't check an application's certificate either.
      rejectUnauthorized: false,
    });
    const finish = (outcome: ProbeOutcome) => {
      clearTimeout(timer);
      resolve(outcome);
      sent.destroy();
    };
    const timer = setTimeout(
      () => finish({ healthy: false, message: `${place}: no answer in ${prober.timeoutMs} ms` }),
      prober.timeoutMs,
    );
    sent.once("response", (response) => {
      const code = response.statusCode ?? 0;
      response.resume();
      finish({ healthy: code >= 200 && code < 400, message: `${place}: HTTP ${code}` });
    });
    sent.on("error", (error) => finish({ healthy: false, message: `${place}: ${error.message}` }));
    sent.end();
  });
}

function portOf(value: unknown): number | undefined {
  const port = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
  return typeof port === "number" && Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function headersOf(value: unknown): readonly (readonly [string, string])[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((header: unknown) => {
    if (!isRecord(header)) return [];
    const name = textOf(header["name"]);
    return name === undefined ? [] : [[name, textOf(header["value"]) ?? ""] as const];
  });
}
