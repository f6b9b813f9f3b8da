// How a finding of the analysis looks on a terminal.

import type { Finding } from "../analyze/finding.ts";
import { paint } from "./output.ts";

export interface Placed extends Finding {
  readonly file: string | undefined;
  readonly line: number | undefined;
}

const COLOURS = { Error: "red", Warning: "yellow", Info: "cyan" } as const;

/** A head line like istioctl's, the place, then the next step. */
export function describeFinding(each: Placed): string {
  const { kind, namespace, name } = each.resource;
  const resource = [kind, [namespace, name].filter((part) => part !== "").join("/")]
    .filter((part) => part !== "")
    .join(" ");
  const where = each.file === undefined ? "" : ` ${each.file}:${each.line}`;
  const what = resource === "" ? "" : ` ${paint("bold", resource)}`;
  const head = `${paint(COLOURS[each.severity], each.severity)} [${each.code}]${what}${where}`;
  const path = each.path === "" ? "" : `${each.path}: `;
  const next = each.next === "" ? "" : `\n  ${paint("dim", "→")} ${each.next}`;
  return `${head}\n  ${path}${each.message}${next}`;
}
