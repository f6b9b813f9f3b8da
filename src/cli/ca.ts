// `weft ca status`: who signs the mesh's certificates, what is trusted, and until when each workload's certificate holds.

import { createHash, X509Certificate } from "node:crypto";
import type { Command } from "commander";
import { isRecord } from "../base/json.ts";
import { type CertificateFacts, readBundle } from "../identity/chain.ts";
import { defaultMeshConfig } from "../model/mesh-config.ts";
import { CommandFailure, examples } from "./command.ts";
import { dataDirOption } from "./data-dir.ts";
import { recordAt, recordsAt, textAt } from "./dump/dump.ts";
import { MeshAccess, type PodName } from "./mesh-access.ts";
import { formatOption, paint, printStructured, readFormat, table } from "./output.ts";

const DAY_MS = 86_400_000;

interface CertificateLine {
  readonly role: "root" | "signer";
  readonly subject: string;
  readonly fingerprint: string;
  readonly notAfter: string;
}

interface WorkloadLine {
  readonly namespace: string;
  readonly pod: string;
  readonly identity: string;
  readonly notAfter: string;
  /** Why nothing is known; empty where it is. */
  readonly problem: string;
}

interface Status {
  readonly source: "self-signed" | "plugged-in";
  readonly certificates: readonly CertificateLine[];
  readonly workloads: readonly WorkloadLine[];
}

export function define(command: Command): void {
  command.exitOverride();
  const status = command
    .command("status")
    .summary("show who signs, what is trusted, and until when certificates hold")
    .description(
      "Shows the roots that the mesh trusts, the CA that signs below them (the Secret cacerts, where there is one), and until when the certificate of each workload holds.",
    )
    .addOption(dataDirOption())
    .addOption(formatOption())
    .action(async (options: { dataDir: string; output?: string }) => {
      const read = await readStatus(new MeshAccess(options.dataDir));
      const format = readFormat(options.output);
      if (format === "table") console.log(statusText(read));
      else await printStructured(read, format);
    });
  examples(status, ["weft ca status", "weft ca status -o json | jq -r '.workloads[].notAfter'"]);
  examples(command, ["weft ca status"]);
}

async function readStatus(mesh: MeshAccess): Promise<Status> {
  const at = `/api/v1/namespaces/${defaultMeshConfig.rootNamespace}`;
  const roots = await mesh.object(`${at}/configmaps/istio-ca-root-cert`);
  const bundle = textAt(recordAt(roots, "data"), "root-cert.pem");
  if (bundle === "") throw new CommandFailure("the mesh has no root yet", { next: "Try again in a moment." });
  const secret = await mesh.object(`${at}/secrets/cacerts`);
  const signer = Buffer.from(textAt(recordAt(secret, "data"), "ca-cert.pem"), "base64").toString("utf8");
  return {
    source: signer === "" ? "self-signed" : "plugged-in",
    certificates: [...lines("root", bundle), ...(signer === "" ? [] : lines("signer", signer))],
    workloads: await readWorkloads(mesh),
  };
}

function lines(role: CertificateLine["role"], pem: string): readonly CertificateLine[] {
  const read = readBundle(pem);
  if (!read.ok) throw new CommandFailure(`the ${role}'s certificate can't be read: ${read.error}`);
  return read.value.map((facts) => ({
    role,
    subject: facts.subject.replaceAll("\n", ", "),
    fingerprint: fingerprintOf(facts),
    notAfter: new Date(facts.notAfterMs).toISOString(),
  }));
}

function fingerprintOf({ pem }: CertificateFacts): string {
  return createHash("sha256").update(new X509Certificate(pem).raw).digest("hex");
}

async function readWorkloads(mesh: MeshAccess): Promise<readonly WorkloadLine[]> {
  const page = await mesh.controlPage("/debug/syncz");
  const proxies = (Array.isArray(page) ? page.filter(isRecord) : []).map((each) => textAt(each, "proxy")).sort();
  const found: WorkloadLine[] = [];
  for (const proxy of proxies) {
    const dot = proxy.lastIndexOf(".");
    found.push(await readWorkload(mesh, { name: proxy.slice(0, dot), namespace: proxy.slice(dot + 1) }));
  }
  return found;
}

/** Of its own chains the one that ends first. */
async function readWorkload(mesh: MeshAccess, pod: PodName): Promise<WorkloadLine> {
  const line = { namespace: pod.namespace, pod: pod.name, identity: "", notAfter: "", problem: "" };
  try {
    const page = await mesh.adminJson(pod, "/certs");
    const chains = recordsAt(page, "certificates").flatMap((pair) => recordsAt(pair, "cert_chain"));
    const [first] = chains.toSorted((a, b) => (textAt(a, "expiration_time") < textAt(b, "expiration_time") ? -1 : 1));
    if (first === undefined) return { ...line, problem: "it has no certificate yet" };
    const names = recordsAt(first, "subject_alt_names").map((name) => textAt(name, "uri"));
    const identity = names.find((uri) => uri !== "") ?? "";
    return { ...line, identity, notAfter: textAt(first, "expiration_time") };
  } catch (error) {
    return { ...line, problem: error instanceof Error ? error.message : String(error) };
  }
}

function statusText({ source, certificates, workloads }: Status): string {
  const signs = source === "self-signed" ? "the mesh's own root signs" : "the CA of the Secret cacerts signs";
  const out = [`${paint("bold", signs)}`];
  for (const { role, subject, fingerprint, notAfter } of certificates) {
    out.push(`  ${role.padEnd(6)}  ${subject}  until ${untilText(notAfter)}`, `          sha256 ${fingerprint}`);
  }
  if (workloads.length === 0) return [...out, "No proxies are connected."].join("\n");
  const rows = workloads.map(({ namespace, pod, identity, notAfter, problem }) => [
    namespace,
    pod,
    problem === "" ? untilText(notAfter) : paint("yellow", problem),
    identity,
  ]);
  return [...out, "", table(["NAMESPACE", "POD", "CERTIFICATE UNTIL", "IDENTITY"], rows)].join("\n");
}

function untilText(notAfter: string): string {
  const leftMs = Date.parse(notAfter) - Date.now();
  const left = leftMs < 0 ? "expired" : leftMs > DAY_MS ? `${Math.floor(leftMs / DAY_MS)} d` : hours(leftMs);
  const text = `${notAfter.slice(0, 16).replace("T", " ")} (${left})`;
  return leftMs > 0 ? text : paint("red", text);
}

function hours(ms: number): string {
  return `${Math.floor(ms / 3_600_000)} h ${Math.floor((ms % 3_600_000) / 60_000)} min`;
}
