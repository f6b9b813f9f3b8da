// What probes and hooks do to a container: a command, an HTTP request, a connection.

import type { Container, HTTPGetAction } from "../api/kubernetes/container.ts";
import { type ProbeResult, probeExec, probeHttp, probeTcp } from "./probe-check.ts";
import type { SandboxProcess } from "./sandbox.ts";

export interface Action {
  readonly exec?: { readonly command?: readonly string[] };
  readonly httpGet?: HTTPGetAction;
  readonly tcpSocket?: { readonly port: number | string; readonly host?: string };
  readonly grpc?: { readonly port: number; readonly service?: string };
  readonly sleep?: { readonly seconds: number };
}

export interface ActionTarget {
  readonly container: Container;
  readonly podIP: string;
  readonly exec: (argv: readonly string[]) => SandboxProcess;
}

export function act(action: Action, target: ActionTarget, timeoutMs: number): Promise<ProbeResult> {
  if (action.exec !== undefined) {
    const argv = action.exec.command ?? [];
    return probeExec(() => target.exec(argv), timeoutMs);
  }
  if (action.httpGet !== undefined) return get(action.httpGet, target, timeoutMs);
  if (action.tcpSocket !== undefined) {
    const port = portOf(action.tcpSocket.port, target.container);
    if (port === undefined) return failed(`couldn't find port: ${action.tcpSocket.port}`);
    return probeTcp(action.tcpSocket.host ?? target.podIP, port, timeoutMs);
  }
  if (action.sleep !== undefined) return sleep(action.sleep.seconds * 1000);
  if (action.grpc !== undefined) return checkGrpc(action.grpc, target, timeoutMs);
  return failed("the probe has no action: give it httpGet, tcpSocket, grpc or exec");
}

function get(action: HTTPGetAction, target: ActionTarget, timeoutMs: number): Promise<ProbeResult> {
  const port = portOf(action.port, target.container);
  if (port === undefined) return failed(`couldn't find port: ${action.port}`);
  const path = action.path ?? "/";
  return probeHttp({
    scheme: action.scheme ?? "HTTP",
    host: action.host === undefined || action.host === "" ? target.podIP : action.host,
    port,
    path: path.startsWith("/") ? path : `/${path}`,
    headers: action.httpHeaders ?? [],
    timeoutMs,
  });
}

async function checkGrpc(
  { port, service = "" }: NonNullable<Action["grpc"]>,
  { podIP }: ActionTarget,
  timeoutMs: number,
): Promise<ProbeResult> {
  const { checkHealth } = await import("../proto/grpc-health.ts");
  const { healthy, message } = await checkHealth({ address: podIP, port, service, timeoutMs });
  return healthy ? { kind: "success" } : { kind: "failure", message };
}

function portOf(port: number | string, container: Container): number | undefined {
  if (typeof port === "number") return port;
  const named = container.ports?.find((other) => other.name === port);
  if (named !== undefined) return named.containerPort;
  return /^\d+$/.test(port) ? Number(port) : undefined;
}

function failed(message: string): Promise<ProbeResult> {
  return Promise.resolve({ kind: "failure", message });
}

function sleep(delayMs: number): Promise<ProbeResult> {
  return new Promise((resolve) => setTimeout(() => resolve({ kind: "success" }), delayMs));
}
