// Which interception mode a cluster runs in, and why.

import { err, ok, type Result } from "../base/result.ts";
import type { ClusterError } from "./failure.ts";
import { probeTransparent } from "./launch/probe.ts";

export type Intercept = "auto" | "transparent" | "explicit";

export interface ChosenMode {
  readonly mode: "transparent" | "explicit";
  /** One line for people. */
  readonly modeReason: string;
}

const NOT_HELD =
  "applications must honour HOST, PORT and http_proxy, can go past their sidecar, and find no /etc/certs of their own";

export async function chooseMode(intercept: Intercept): Promise<Result<ChosenMode, ClusterError>> {
  if (intercept === "explicit") {
    return ok({ mode: "explicit", modeReason: `asked for with --intercept; ${NOT_HELD}` });
  }
  const probe = await probeTransparent();
  if (probe.works) {
    const modeReason = "traffic is intercepted in network namespaces, which work here; applications need no change";
    return ok({ mode: "transparent", modeReason });
  }
  if (intercept === "transparent") {
    return err({
      message: `the transparent mode does not work here: ${probe.reason}`,
      next: 'Correct that, or use "--intercept explicit".',
    });
  }
  return ok({ mode: "explicit", modeReason: `no interception here (${probe.reason}); ${NOT_HELD}` });
}
