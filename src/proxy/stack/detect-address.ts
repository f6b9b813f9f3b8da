// The client's address where the configuration has it taken out of headers by extensions.

import { isIP } from "node:net";
import type { RequestHead } from "../codec/head.ts";
import type { IpDetector } from "../compile/edge.ts";
import type { ConnectionInfo } from "./connection-info.ts";

export type Detected =
  | { readonly kind: "found"; readonly ip: string; readonly trusted: boolean }
  | { readonly kind: "reject"; readonly status: number };

/** The first detector that finds one decides; undefined: the connection's own address is as good as it gets. */
export function detectAddress(
  head: RequestHead,
  detectors: readonly IpDetector[],
  info: ConnectionInfo,
): Detected | undefined {
  for (const detector of detectors) {
    if (detector.kind === "xff") {
      const list = head.headers.joined("x-forwarded-for")?.split(",") ?? [];
      const ip = list.at(-1 - detector.hops)?.trim() ?? "";
      if (isIP(ip) !== 0) return { kind: "found", ip, trusted: list.length === 1 };
      continue;
    }
    const ip = head.headers.get(detector.name)?.trim() ?? "";
    if (isIP(ip) !== 0) return { kind: "found", ip, trusted: detector.trusted };
    if (detector.rejectStatus !== undefined) return { kind: "reject", status: detector.rejectStatus };
  }
  return { kind: "found", ip: info.remoteIp, trusted: false };
}
