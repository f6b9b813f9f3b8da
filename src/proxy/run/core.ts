// What everything that serves connections gets of the process that it runs in.

import type { Clock } from "../../base/clock.ts";
import { Deadlines } from "../../base/deadlines.ts";
import type { Random } from "../../base/random.ts";
import type { Registry } from "../../observe/metrics.ts";
import type { Bootstrap } from "../../proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import { AccessLogWriter } from "../stack/access-log.ts";
import { IstioStats } from "../stack/istio-stats.ts";
import { LogCollectors } from "../stack/log-collectors.ts";
import { Overload } from "../stack/overload.ts";
import { RecentLog } from "../stack/recent.ts";
import type { Core } from "../stack/runtime.ts";
import { SpanExporters } from "../stack/span-exporters.ts";

export interface CoreOptions {
  readonly bootstrap: Bootstrap;
  readonly clock: Clock;
  readonly random: Random;
  readonly registry: Registry;
  readonly showCause?: boolean;
  /** Of several in one process. */
  readonly worker?: number;
}

export function makeCore(options: CoreOptions, resources: Pick<Core, "cluster" | "routes">): Core {
  const { clock, random, registry, bootstrap } = options;
  const around = { clock, registry, node: bootstrap.node, cluster: resources.cluster };
  return {
    clock,
    deadlines: new Deadlines(clock),
    random,
    registry,
    logs: new AccessLogWriter(registry, clock, new LogCollectors(around)),
    overload: new Overload(random),
    recent: new RecentLog(clock, options.worker ?? 0),
    showCause: options.showCause ?? true,
    istio: IstioStats.of(bootstrap.node, registry),
    spans: new SpanExporters(around),
    ...resources,
  };
}
