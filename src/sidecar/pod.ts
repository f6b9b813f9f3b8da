// What both kinds of sidecar need of their pod, whichever proxy serves in it.

import { bindAddresses, DNS_PORT, PROMETHEUS_PORT, READINESS_PORT, STATUS_PORT } from "../agent/bootstrap.ts";
import type { SidecarDns } from "../agent/dns.ts";
import { readEnvironment, type SidecarConfig } from "../agent/environment.ts";
import { readText } from "../agent/read-text.ts";
import { type StatusOptions, type StatusServers, startStatusServers } from "../agent/status-server.ts";
import { ok, type Result } from "../base/result.ts";
import type { Log } from "../observe/log.ts";
import type { Arguments } from "./arguments.ts";

export type PodArguments = Extract<Arguments, { kind: "sidecar" | "agent" }>;

export function readPod(given: PodArguments, log: Log): Result<SidecarConfig, readonly string[]> {
  if (given.ignored.length > 0) log.debug(`arguments without effect: ${given.ignored.join(" ")}`);
  return readEnvironment({ ...given, env: globalThis.process.env, readFile: readOptional });
}

function readOptional(file: string): string | undefined {
  const read = readText(file);
  return read.ok ? read.value : undefined;
}

/** Read for each connection: the node renews it. */
export function readToken({ files }: SidecarConfig): string | undefined {
  const read = readText(files.token);
  return read.ok ? read.value.trim() : undefined;
}

/** Loaded only where it is asked. */
export async function openDns(config: SidecarConfig): Promise<Result<SidecarDns | undefined, string>> {
  if (!config.dnsCapture) return ok(undefined);
  const { startSidecarDns } = await import("../agent/dns.ts");
  const [, ...domain] = config.dnsDomain.split(".svc.");
  const clusterDomain = domain.join(".svc.");
  const { namespace } = config.identity;
  return startSidecarDns({ host: bindAddresses(config).admin, port: DNS_PORT, namespace, clusterDomain });
}

type Told = Omit<StatusOptions, "probers" | "appAddress" | "appMetrics">;

export function openStatus(config: SidecarConfig, told: Told): Promise<Result<StatusServers, string>> {
  const host = bindAddresses(config).open;
  const { probers, instanceIp: appAddress, appMetrics } = config;
  return startStatusServers(
    { ...told, probers, appAddress, appMetrics },
    {
      status: { host, port: STATUS_PORT },
      readiness: { host, port: READINESS_PORT },
      prometheus: { host, port: PROMETHEUS_PORT },
    },
  );
}
