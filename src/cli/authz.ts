// `weft authz check|explain`: which policies decide about calls, and why one call is let in or refused.

import { Argument, type Command } from "commander";
import type { AuthzDecision } from "../analyze/authz.ts";
import { type AuthzAnswer, type AuthzQuestion, answer } from "../analyze/authz-call.ts";
import { describePod } from "../analyze/describe-workload.ts";
import type { World } from "../analyze/world.ts";
import { isRecord, parseJson } from "../base/json.ts";
import { defineDiff } from "./authz-diff.ts";
import { CommandFailure, examples } from "./command.ts";
import { policyText } from "./describe.ts";
import { collect } from "./files.ts";
import { findWorkload } from "./find.ts";
import { readWorld, type WorldOptions, worldOptions } from "./mesh-world.ts";
import { paint, printStructured, readFormat } from "./output.ts";
import { verdictText } from "./verdict-text.ts";

interface ExplainOptions extends WorldOptions {
  readonly from?: string;
  readonly to: string;
  readonly method: string;
  readonly path: string;
  readonly host?: string;
  readonly header: string[];
  readonly jwt?: string;
  readonly ip?: string;
}

export function define(command: Command): void {
  command.exitOverride();
  defineCheck(command);
  defineExplain(command);
  defineDiff(command);
  examples(command, [
    "weft authz check api-v1-6d5f.production",
    "weft authz explain --from production/frontend --to api.production:8080 --method GET --path /api/items",
    "weft authz explain -f manifests/ --from production/jobs --to api.production:8080 --path /admin",
  ]);
}

function defineCheck(parent: Command): void {
  const command = parent
    .command("check")
    .summary("list the policies that decide about calls to a pod")
    .description("Lists the PeerAuthentication of each port and the AuthorizationPolicies that select a pod.")
    .addArgument(new Argument("<pod>", "NAME, or NAME.NAMESPACE"));
  worldOptions(command).action(async (pod: string, options: WorldOptions) => {
    const world = await readWorld(options);
    const described = describePod(world, findWorkload(world, pod, options.namespace));
    const { namespace, name, sidecar, identity, mtls, authorization } = described;
    const format = readFormat(options.output);
    if (format !== "table") {
      await printStructured({ namespace, name, sidecar, identity, mtls, authorization }, format);
      return;
    }
    console.log(paint("bold", `${namespace}/${name}`));
    if (!sidecar) console.log(paint("yellow", "  it has no sidecar, so that nothing enforces policies there"));
    for (const { port, mode, why } of mtls) console.log(`  ${port ?? "other ports"}: ${mode}  (${why})`);
    for (const line of policyText(authorization)) console.log(`  ${line}`);
  });
  examples(command, [
    "weft authz check api-v1-6d5f -n production",
    "weft authz check -f manifests/ api-v1-0.production",
  ]);
}

function defineExplain(parent: Command): void {
  const command = parent
    .command("explain")
    .summary("say why a call would be let in or refused")
    .description(
      "Says for each workload of a service whether a call would be let in, which rule decides, and of the others the first field that fails. Exit code 0: allowed, 1: denied.",
    )
    .option("--from <namespace/account>", "the caller's service account; without it, a caller outside the mesh")
    .requiredOption("--to <service:port>", "SERVICE.NAMESPACE:PORT")
    .option("--method <method>", "the request's method", "GET")
    .option("--path <path>", "the request's path", "/")
    .option("--host <host>", "the request's host, when it is not the service's name")
    .option("--header <name:value>", "a request header (may be repeated)", collect, [])
    .option("--jwt <claims>", "claims of a verified token as JSON, or the token itself")
    .option("--ip <address>", "the caller's address, for rules about addresses");
  worldOptions(command).action(async (options: ExplainOptions) => {
    const world = await readWorld(options);
    const question = readQuestion(world, options);
    const answers = answer(world, question);
    if (answers.length === 0) {
      throw new CommandFailure(
        `no workload is selected by Service ${question.service.namespace}/${question.service.name}`,
      );
    }
    const format = readFormat(options.output);
    if (format === "table") for (const each of answers) console.log(answerText(each));
    else await printStructured({ answers }, format);
    if (answers.some(({ outcome }) => outcome === "denied")) process.exitCode = 1;
  });
  examples(command, [
    "weft authz explain --from production/frontend --to api.production:8080 --method POST --path /api/items",
    `weft authz explain --to web.edge:80 --path /admin --jwt '{"iss":"https://issuer","sub":"ada"}'`,
    "weft authz explain -f manifests/ --from production/jobs --to api.production:8080 -o json",
  ]);
}

function readQuestion(world: World, options: ExplainOptions): AuthzQuestion {
  const { service, port } = readTarget(world, options);
  return {
    from: readCaller(options.from),
    service,
    port,
    method: options.method.toUpperCase(),
    path: options.path,
    host: options.host ?? (port.number === 80 ? service.host : `${service.host}:${port.number}`),
    headers: Object.fromEntries(options.header.map(readHeader)),
    claims: options.jwt === undefined ? undefined : readClaims(options.jwt),
    ip: options.ip,
  };
}

function readTarget(world: World, { to, namespace }: ExplainOptions): Pick<AuthzQuestion, "service" | "port"> {
  const [, name = "", number = ""] = /^(.+):(\d+)$/.exec(to) ?? [];
  if (name === "") throw new CommandFailure(`--to ${to} is not SERVICE.NAMESPACE:PORT`, { exitCode: 2 });
  const services = [...world.snapshot.services.values()];
  const full = name.includes(".") ? name : `${name}.${namespace ?? "default"}`;
  const service = services.find(({ host }) => host === full || host.startsWith(`${full}.`));
  if (service === undefined) {
    const known = services.map((each) => `${each.name}.${each.namespace}`).join(", ");
    throw new CommandFailure(`there is no service ${full}`, {
      next: known === "" ? "There is none at all." : `There are: ${known}.`,
    });
  }
  const port = service.ports.find((each) => each.number === Number(number));
  if (port === undefined) {
    const known = service.ports.map((each) => each.number).join(", ");
    throw new CommandFailure(`${service.host} has no port ${number}`, { next: `It has: ${known}.` });
  }
  return { service, port };
}

function readCaller(from: string | undefined): AuthzQuestion["from"] {
  if (from === undefined) return undefined;
  const [namespace = "", serviceAccount = "", more] = from.split("/");
  if (namespace === "" || serviceAccount === "" || more !== undefined) {
    throw new CommandFailure(`--from ${from} is not NAMESPACE/SERVICEACCOUNT`, { exitCode: 2 });
  }
  return { namespace, serviceAccount };
}

function readHeader(text: string): readonly [string, string] {
  const colon = text.indexOf(":");
  if (colon <= 0) throw new CommandFailure(`--header ${text} is not NAME:VALUE`, { exitCode: 2 });
  return [text.slice(0, colon).trim().toLowerCase(), text.slice(colon + 1).trim()];
}

/** A token's signature is not looked at: the question is what would be if it held. */
function readClaims(text: string): Readonly<Record<string, unknown>> {
  const payload = /^[\w-]+\.([\w-]+)\.[\w-]*$/.exec(text)?.[1];
  const parsed = parseJson(payload === undefined ? text : Buffer.from(payload, "base64url").toString("utf8"));
  if (parsed.ok && isRecord(parsed.value)) return parsed.value;
  throw new CommandFailure("--jwt is neither a token nor a JSON object of claims", { exitCode: 2 });
}

const COLOURS: Readonly<Record<AuthzDecision["outcome"], "green" | "red" | "yellow">> = {
  allowed: "green",
  denied: "red",
  ask: "yellow",
};

function answerText({ workload, connection, outcome, reason, policies }: AuthzAnswer): string {
  const lines = [
    `${paint(COLOURS[outcome], outcome)}  ${paint("bold", workload)}`,
    `  because     ${reason}`,
    `  connection  ${connection}`,
  ];
  for (const { resource, action, dryRun, rules } of policies) {
    lines.push(`  ${action.padEnd(6)}      ${resource}${dryRun ? "  (dry run)" : ""}`);
    if (rules.length === 0) lines.push("                no rules: matches nothing");
    for (const rule of rules) lines.push(`                ${verdictText(rule)}`);
  }
  return lines.join("\n");
}
