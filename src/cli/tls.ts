// `weft tls check`: how each client would connect to a service or a pod, and whether that is taken there.

import { Argument, type Command } from "commander";
import { type TlsPair, tlsPairs } from "../analyze/tls.ts";
import { servicesOfWorkload, type World } from "../analyze/world.ts";
import type { Service } from "../model/service.ts";
import { CommandFailure, examples } from "./command.ts";
import { findService, findWorkload } from "./find.ts";
import { readWorld, type WorldOptions, worldOptions } from "./mesh-world.ts";
import { paint, printStructured, readFormat } from "./output.ts";

export function define(command: Command): void {
  command.exitOverride();
  const check = command
    .command("check")
    .summary("say for each client and server whether their TLS goes together")
    .description(
      "Says for each port of a service, or of the services of a pod, by what each client would call it and what decides that, what the server takes, and where the two conflict. Exit code 0: all goes together, 1: something does not.",
    )
    .addArgument(new Argument("<pod|service>", "NAME, or NAME.NAMESPACE, of a service; pod/NAME of a pod"));
  worldOptions(check).action(async (text: string, options: WorldOptions) => {
    const pairs = pairsOf(await readWorld(options), text, options.namespace);
    const format = readFormat(options.output);
    if (format === "table") console.log(pairs.map(pairText).join("\n"));
    else await printStructured({ pairs }, format);
    if (pairs.some(({ conflict }) => conflict !== "")) process.exitCode = 1;
  });
  examples(check, [
    "weft tls check api.production",
    "weft tls check pod/api-v1-6d5f -n production",
    "weft tls check -f manifests/ api.production",
  ]);
  examples(command, ["weft tls check api.production"]);
}

function pairsOf(world: World, text: string, namespace: string | undefined): readonly TlsPair[] {
  const pod = text.startsWith("pod/") ? text.slice("pod/".length) : undefined;
  const name = text.replace(/^(svc|service)\//, "");
  if (pod === undefined && isService(world, name))
    return told(tlsPairs(world, findService(world, name, namespace)), name);
  const workload = findWorkload(world, pod ?? name, namespace);
  const services = servicesOfWorkload(world, workload).flatMap(({ metadata }) => {
    const host = `${metadata.name}.${metadata.namespace}.svc.${world.snapshot.mesh.clusterDomain}`;
    return world.snapshot.services.get(host) ?? [];
  });
  return told(
    services.flatMap((service) => tlsPairs(world, service, [workload])),
    pod ?? name,
  );
}

function isService(world: World, text: string): boolean {
  const named = ({ name, namespace }: Service): boolean =>
    text === name || text === `${name}.${namespace}` || text.startsWith(`${name}.${namespace}.svc`);
  return [...world.snapshot.services.values()].some(named);
}

function told(pairs: readonly TlsPair[], text: string): readonly TlsPair[] {
  if (pairs.length > 0) return pairs;
  throw new CommandFailure(`nobody can call ${text}: there is no service with a pod, or no client`);
}

function pairText(pair: TlsPair): string {
  const { clients, server, host, port, targetPort, conflict } = pair;
  const verdict = conflict === "" ? paint("green", "ok") : paint("red", "conflict");
  const lines = [
    `${verdict}  ${paint("bold", `${host}:${port}`)} at ${server}, port ${targetPort}`,
    `  clients  ${clients.join(", ")}`,
    `  send     ${pair.sends}  (${pair.sendsBy})`,
    `  taken    ${pair.accepts}  (${pair.acceptsBy})`,
  ];
  return [...lines, ...(conflict === "" ? [] : [`  ${paint("red", conflict)}`])].join("\n");
}
