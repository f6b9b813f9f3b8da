// One probe, made once: an HTTP GET, a TCP connection, or a command.

import { request } from "node:http";
import { request as requestTls } from "node:https";
import { connect } from "node:net";
import { PROBE_BODY_BYTES_MAX, PROBE_MESSAGE_BYTES_MAX } from "./limits.ts";
import type { SandboxProcess } from "./sandbox.ts";

export type ProbeResult = { readonly kind: "success" } | { readonly kind: "failure"; readonly message: string };

export interface HttpProbe {
  readonly scheme: "HTTP" | "HTTPS";
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly timeoutMs: number;
}

const SUCCESS: ProbeResult = { kind: "success" };

export function probeHttp(probe: HttpProbe): Promise<ProbeResult> {
  const url = `${probe.scheme.toLowerCase()}://${probe.host}:${probe.port}${probe.path}`;
  return new Promise((resolve) => {
    const headers: Record<string, string | string[]> = { "user-agent": "kube-probe/1.32", accept: "*/*" };
    for (const { name, value } of probe.headers) headers[name.toLowerCase()] = value;
    const options = {
      host: probe.host,
      port: probe.port,
      path: probe.path === "" ? "/" : probe.path,
      headers,
      agent: false as const,
      timeout: probe.timeoutMs,
    };
    // A probe asks whether somebody answers, not who: Kubernetes doesn't check the certificate either.
    const outgoing =
      probe.scheme === "HTTPS" ? requestTls({ ...options, rejectUnauthorized: false }) : request(options);
    const limit = setTimeout(
      () => finish({ kind: "failure", message: `Get "${url}": context deadline exceeded` }),
      probe.timeoutMs,
    );
    const finish = (result: ProbeResult) => {
      clearTimeout(limit);
      resolve(result);
      outgoing.destroy();
    };
    outgoing.once("error", (error) => finish({ kind: "failure", message: `Get "${url}": ${error.message}` }));
    outgoing.once("response", (response) => {
      const code = response.statusCode ?? 0;
      if (code >= 200 && code < 400) finish(SUCCESS);
      else finish({ kind: "failure", message: `HTTP probe failed with statuscode: ${code}` });
    });
    outgoing.end();
  });
}

export function probeTcp(host: string, port: number, timeoutMs: number): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const finish = (result: ProbeResult) => {
      clearTimeout(limit);
      socket.destroy();
      resolve(result);
    };
    const limit = setTimeout(
      () => finish({ kind: "failure", message: `dial tcp ${host}:${port}: i/o timeout` }),
      timeoutMs,
    );
    socket.once("error", (error) => finish({ kind: "failure", message: `dial tcp ${host}:${port}: ${error.message}` }));
    socket.once("connect", () => finish(SUCCESS));
  });
}

/** The command's exit code decides; what it wrote is told when it fails. */
export function probeExec(start: () => SandboxProcess, timeoutMs: number): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const command = start();
    command.stdin.end();
    let output = "";
    const collect = (chunk: Buffer) => {
      if (output.length < PROBE_BODY_BYTES_MAX) output += chunk.toString("utf8");
    };
    command.stdout.on("data", collect);
    command.stderr.on("data", collect);
    const limit = setTimeout(() => {
      command.kill("SIGKILL");
      resolve({ kind: "failure", message: `command timed out after ${timeoutMs / 1000}s` });
    }, timeoutMs);
    void command.exited.then((status) => {
      clearTimeout(limit);
      if (status.kind === "exited" && status.code === 0) resolve(SUCCESS);
      else if (status.kind === "failed") resolve({ kind: "failure", message: status.message });
      else resolve({ kind: "failure", message: output.slice(0, PROBE_MESSAGE_BYTES_MAX) || "the command failed" });
    });
  });
}
