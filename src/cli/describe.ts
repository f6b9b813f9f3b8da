// `weft describe service|pod`: what applies to it in the local cluster, and which resource says so.

import { Argument, type Command } from "commander";
import { describeService, type FieldLine, type ServiceDescription } from "../analyze/describe-service.ts";
import { describePod, type MtlsLine, type PodDescription, type PolicyLine } from "../analyze/describe-workload.ts";
import type { Finding } from "../analyze/finding.ts";
import type { ServerLine } from "../analyze/gateway.ts";
import { buildWorld } from "../analyze/world.ts";
import { defaultMeshConfig } from "../model/mesh-config.ts";
import { readCluster } from "./cluster-objects.ts";
import { examples } from "./command.ts";
import { dataDirOption } from "./data-dir.ts";
import { findPod, findService } from "./find.ts";
import { describeFinding } from "./finding-text.ts";
import { formatOption, paint, printStructured, readFormat } from "./output.ts";

interface Options {
  readonly namespace?: string;
  readonly dataDir: string;
  readonly output?: string;
}

export function define(command: Command): void {
  command
    .addArgument(new Argument("<kind>", "service (svc) or pod (po)").choices(["service", "svc", "pod", "po"]))
    .addArgument(new Argument("<name>", "NAME, or NAME.NAMESPACE"))
    .option("-n, --namespace <namespace>", "where it is; without it, wherever there is one of that name")
    .addOption(dataDirOption())
    .addOption(formatOption())
    .action(async (kind: string, name: string, options: Options) => {
      const objects = await readCluster(options.dataDir);
      const world = buildWorld(objects, defaultMeshConfig);
      const format = readFormat(options.output);
      if (kind === "service" || kind === "svc") {
        const description = describeService(world, findService(world, name, options.namespace));
        if (format === "table") console.log(serviceText(description));
        else await printStructured(description, format);
      } else {
        const description = describePod(world, findPod(world, name, options.namespace));
        if (format === "table") console.log(podText(description));
        else await printStructured(description, format);
      }
    });
  examples(command, [
    "weft describe service api.shop",
    "weft describe pod api-v1-6d5f -n shop",
    "weft describe svc api -o json",
  ]);
}

function serviceText(of: ServiceDescription): string {
  const lines = [
    `${paint("bold", `Service ${of.namespace}/${of.name}`)}  ${of.host}  ${of.addresses.join(", ") || "headless"}`,
  ];
  for (const port of of.ports) {
    lines.push(`  port ${port.number} → ${port.targetPort}  ${paint("cyan", port.protocol)}  (${port.why})`);
  }
  lines.push(...section("mTLS", mtlsText(of.mtls)));
  lines.push(
    ...section(
      "Endpoints",
      of.endpoints.map((each) => `${each.address}  ${each.pod}${each.sidecar ? "" : "  no sidecar"}`),
    ),
  );
  lines.push(...section("Routes", routeText(of)));
  lines.push(...section("DestinationRule", ruleText(of)));
  lines.push(...section("Authorization", policyText(of.authorization)));
  lines.push(...section("Findings", findingText(of.findings)));
  return lines.join("\n");
}

function podText(of: PodDescription): string {
  const lines = [
    paint("bold", `Pod ${of.namespace}/${of.name}`),
    `  identity    ${of.identity}`,
    of.servers.length > 0 ? "  gateway     yes" : `  sidecar     ${of.sidecar ? "yes" : paint("yellow", "no")}`,
    `  containers  ${of.containers.join(", ")}`,
  ];
  const services = of.services.map((each) => `${each.host}  ${each.ports.join(", ")}`);
  lines.push(...section("Services", services.length === 0 ? ["none selects it"] : services));
  if (of.servers.length > 0) lines.push(...section("Serves", of.servers.flatMap(serverText)));
  if (of.mtls.length > 0) lines.push(...section("mTLS", mtlsText(of.mtls)));
  lines.push(...section("Authorization", policyText(of.authorization)));
  lines.push(...section("Findings", findingText(of.findings)));
  return lines.join("\n");
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return ["", paint("bold", title), ...lines.flatMap((text) => text.split("\n")).map((text) => `  ${text}`)];
}

function mtlsText(lines: readonly MtlsLine[]): readonly string[] {
  if (lines.length === 0) return ["no workload is behind it"];
  return lines.map(({ port, mode, why }) => {
    const colour = mode === "STRICT" ? "green" : mode === "PERMISSIVE" ? "cyan" : "yellow";
    return `${port === undefined ? "all ports" : `port ${port}`}  ${paint(colour, mode)}  (${why})`;
  });
}

function serverText({ server, listens, protocol, hosts, routes }: ServerLine): readonly string[] {
  const bound = routes.length === 0 ? paint("yellow", "no VirtualService is bound to it") : routes.join(", ");
  return [`${listens}  ${protocol}  ${hosts.join(", ")}  ${paint("dim", server)}`, `  ${bound}`];
}

function routeText({ virtualService, host }: ServiceDescription): readonly string[] {
  if (virtualService === null) {
    return [`no VirtualService: every request to ${host}, no timeout, 2 retries on failed connects`];
  }
  return [
    virtualService.resource,
    ...virtualService.rules.flatMap((rule) => [
      `${rule.rule}  ${rule.match.length === 0 ? "every request" : rule.match.join(" or ")}`,
      ...(rule.action === undefined ? [] : [`  ${rule.action}`]),
      ...rule.destinations.map(({ to, percent }) => `  ${`${percent} %`.padStart(6)}  ${to}`),
      `  timeout ${rule.timeout}; retries ${rule.retries}`,
    ]),
  ];
}

function ruleText(of: ServiceDescription): readonly string[] {
  const rule = of.destinationRule;
  const lines: string[] = [];
  if (rule === null) lines.push("none: least request, mTLS between sidecars, no limits");
  else {
    lines.push(rule.sources.length > 1 ? `merged from ${rule.sources.join(" + ")}` : rule.sources.join(""));
    lines.push(...fieldText(rule.fields));
    for (const subset of rule.subsets) {
      const labels = Object.entries(subset.labels).map(([key, value]) => `${key}=${value}`);
      const endpoints = subset.endpoints.length === 0 ? paint("red", "no endpoints") : subset.endpoints.join(", ");
      lines.push(`subset ${paint("bold", subset.name)}  ${labels.join(",")}  ${endpoints}`);
      lines.push(...fieldText(subset.fields).map((text) => `  ${text}`));
    }
  }
  for (const { rule: name, fields, why } of of.notInherited) {
    lines.push(`${paint("yellow", "not inherited")} from ${name}: ${fields.join(", ")}\n  ${why}`);
  }
  return lines;
}

function fieldText(fields: readonly FieldLine[]): readonly string[] {
  const width = Math.max(0, ...fields.map(({ field, value }) => `${field} ${JSON.stringify(value)}`.length));
  return fields.map(({ field, value, from }) => {
    const text = `${field} ${typeof value === "string" ? value : JSON.stringify(value)}`;
    return `${text.padEnd(width)}  ${paint("dim", from)}`;
  });
}

export function policyText(policies: readonly PolicyLine[]): readonly string[] {
  if (policies.length === 0) return ["no AuthorizationPolicy: everybody may do everything"];
  return policies.flatMap(({ policy, action, rules }) => [
    `${paint(action === "ALLOW" ? "green" : "red", action)}  ${policy}`,
    ...rules.map((rule) => `  ${rule}`),
  ]);
}

function findingText(findings: readonly Finding[]): readonly string[] {
  if (findings.length === 0) return ["nothing found"];
  return findings.map((each) => describeFinding({ ...each, file: undefined, line: undefined }));
}
