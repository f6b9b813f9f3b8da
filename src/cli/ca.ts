// `weft ca`: `status` tells who signs the mesh's certificates, what is trusted, and until when each workload's certificate holds.

import type { Command } from "commander";
import { isRecord } from "../base/json.ts";
import { defineRotate } from "./ca-rotate.ts";
import { readTrust, STEP_TEXTS, type Trust } from "./ca-trust.ts";
import { examples } from "./command.ts";
import { dataDirOption } from "./data-dir.ts";
import { recordsAt, textAt } from "./dump/dump.ts";
import { MeshAccess, type PodName } from "./mesh-access.ts";
import { formatOption, paint, printStructured, readFormat, table } from "./output.ts";

const DAY_MS = 86_400_000;

interface WorkloadLine {
  readonly namespace: string;
  readonly pod: string;
  readonly identity: string;
  readonly notAfter: string;
  /** Why nothing is known; empty where it is. */
  readonly problem: string;
}

interface Status extends Omit<Trust, "answered"> {
  readonly workloads: readonly WorkloadLine[];
}

export function define(command: Command): void {
  command.exitOverride();
  const status = command
    .command("status")
    .summary("show who signs, what is trusted, and until when certificates hold")
    .description(
      "Shows the roots that the mesh trusts, the CA that signs below them (the Secret cacerts, where there is one), how far the root's rotation is and which proxies it waits for, what is revoked, and until when the certificate of each workload holds.",
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
  defineRotate(command);
  examples(command, ["weft ca status", "weft ca rotate --wait"]);
}

async function readStatus(mesh: MeshAccess): Promise<Status> {
  const { answered: _answered, ...trust } = await readTrust(mesh);
  return { ...trust, workloads: await readWorkloads(mesh) };
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

function statusText(status: Status): string {
  const { source, roots, signer, workloads } = status;
  const signs = source === "self-signed" ? "the mesh's own root signs" : "the CA of the Secret cacerts signs";
  const out = [`${paint("bold", signs)}`];
  for (const { subject, fingerprint, notAfter, signs: isSigner } of roots) {
    const mark = roots.length > 1 ? (isSigner ? "  (signs)" : "  (trusted only)") : "";
    out.push(`  root    ${subject}  until ${untilText(notAfter)}${mark}`, `          sha256 ${fingerprint}`);
  }
  if (source === "plugged-in") out.push(`  signer  ${signer.subject}  until ${untilText(signer.notAfter)}`);
  out.push(...rolloutLines(status));
  if (workloads.length === 0) return [...out, "No proxies are connected."].join("\n");
  const rows = workloads.map(({ namespace, pod, identity, notAfter, problem }) => [
    namespace,
    pod,
    problem === "" ? untilText(notAfter) : paint("yellow", problem),
    identity,
  ]);
  return [...out, "", table(["NAMESPACE", "POD", "CERTIFICATE UNTIL", "IDENTITY"], rows)].join("\n");
}

function rolloutLines({ step, nextStep, revoked, awaited }: Status): readonly string[] {
  const rotation =
    step === "stable"
      ? []
      : [`  the root is being rotated: ${STEP_TEXTS[step]}; next: weft ca rotate --step ${nextStep}`];
  const lists =
    revoked === undefined
      ? []
      : [
          `  revoked: ${revoked.certificates}${revoked.staleAt === "" ? "" : `  (lists until ${untilText(revoked.staleAt)})`}`,
        ];
  const waiting = awaited.map(({ proxy, reason }) => `  ${paint("yellow", `${proxy}: ${reason}`)}`);
  return [...rotation, ...lists, ...waiting];
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
