// An assessment as a person reads it: plain text for a terminal, Markdown for a page.

import type { Assessment, Cost, Need } from "./assess.ts";
import { counted } from "./evidence.ts";

const TITLE = "Does this application need a service mesh?";

export function textReport(assessment: Assessment, paint: (verdict: Assessment["verdict"]) => string): string {
  const { needs, checklist, reasons, provided } = assessment;
  const lines = [
    `${TITLE} ${paint(assessment.verdict)}`,
    ...reasons.map((reason) => `  - ${reason}`),
    ...(provided.length === 0
      ? []
      : ["  provided that (nobody has said so yet):", ...provided.map((item) => `    - ${item}`)]),
    "",
    sizeText(assessment),
    "",
    "Needs",
    ...needs.flatMap(needText),
    "",
    "Checklist",
    ...checklist.map(({ item, state, evidence }) => `  ${MARKS[state]} ${item}: ${evidence}`),
    "",
    ...costLines(assessment.cost),
    "",
    "Simpler, to begin with (-o markdown has the manifests):",
    ...needs
      .filter(({ isSeen }) => isSeen)
      .map(({ requirement, alternative }) => `  ${requirement}: ${alternative.name}`),
  ];
  return `${lines.join("\n")}\n`;
}

const MARKS = { yes: "✔", no: "✘", unknown: "?" } as const;

function needText({ requirement, isSeen, evidence, mesh }: Need): readonly string[] {
  return [
    `  ${isSeen ? "✔" : "-"} ${requirement}${isSeen ? "" : ": not seen"}`,
    ...evidence.map((each) => `      ${each}`),
    ...(isSeen ? [`      the mesh: ${mesh}`] : []),
  ];
}

export function markdownReport(assessment: Assessment): string {
  const { verdict, reasons, provided, needs, checklist } = assessment;
  const cell = (text: string): string => text.replaceAll("|", "\\|");
  const seen = needs.filter(({ isSeen }) => isSeen);
  return `${[
    `# ${TITLE}`,
    "",
    `**${verdict.charAt(0).toUpperCase()}${verdict.slice(1)}.**`,
    "",
    ...reasons.map((reason) => `- ${reason}`),
    ...(provided.length === 0
      ? []
      : ["", "Provided that, which nobody has said yet:", "", ...provided.map((item) => `- ${item}`)]),
    "",
    sizeText(assessment),
    "",
    "## Needs",
    "",
    "| requirement | seen | evidence | the mesh | simpler |",
    "| --- | --- | --- | --- | --- |",
    ...needs.map(
      ({ requirement, isSeen, evidence, mesh, alternative }) =>
        `| ${requirement} | ${isSeen ? "yes" : "no"} | ${cell(evidence.join("; ") || "none")} | ${cell(mesh)} | ${cell(alternative.name)} |`,
    ),
    "",
    "## Checklist",
    "",
    "| item | | evidence |",
    "| --- | --- | --- |",
    ...checklist.map(({ item, state, evidence }) => `| ${cell(item)} | ${state} | ${cell(evidence)} |`),
    "",
    "## Cost",
    "",
    ...costLines(assessment.cost),
    "",
    "## To begin with, without a mesh",
    ...(seen.length === 0 ? ["", "Nothing is seen to be needed."] : []),
    ...seen.flatMap(({ requirement, alternative }) => [
      "",
      `### ${requirement}: ${alternative.name}`,
      "",
      "```yaml",
      alternative.manifest.trimEnd(),
      "```",
    ]),
  ].join("\n")}\n`;
}

function sizeText({ size }: Assessment): string {
  const memory = size.requestedMb === undefined ? "" : `, ${Math.round(size.requestedMb)} MB asked for`;
  return `Read: ${counted(size.services, "service")}, ${counted(size.workloads, "workload")}, ${counted(size.pods, "pod")} in ${counted(size.namespaces, "namespace")}, ${counted(size.calls, "call")} between them${memory}.`;
}

function costLines(cost: Cost): readonly string[] {
  if (!cost.isMeasured) {
    return [`Cost: ${cost.memoryMbPerPod} MB a pod, as the README states it; "--measure" measures it on this machine.`];
  }
  const ms = (value: number | undefined): string => `${Math.round((value ?? 0) * 100) / 100} ms`;
  return [
    "Cost, measured on this machine (weft's sidecars, mutual TLS between them, 1 KB answers):",
    `  latency a hop: p50 ${ms(cost.directP50Ms)} direct, +${ms(cost.addedP50Ms)} with both sidecars; p99 ${ms(cost.directP99Ms)} direct, +${ms(cost.addedP99Ms)}`,
    `  CPU: ${Math.round((cost.cpuSecondsPerThousand ?? 0) * 1000)} ms a thousand requests, both sidecars together`,
    `  memory: ${Math.round(cost.memoryMbPerPod)} MB a pod, private, under load`,
  ];
}
