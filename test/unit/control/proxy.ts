// weft's proxy as tests start it: its configuration over a discovery stream without TLS, ready when this returns.

import { systemClock } from "../../../src/base/clock.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { Registry } from "../../../src/observe/metrics.ts";
import { Bootstrap } from "../../../src/proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import { Node } from "../../../src/proto/gen/envoy/config/core/v3/base.ts";
import { type RunningProxy, startProxy } from "../../../src/proxy/run/proxy.ts";
import type { SecretSource } from "../../../src/proxy/socket/secret.ts";
import { makeAdsSource } from "../../../src/proxy/subscribe/ads.ts";

export interface AdsProxyOptions {
  /** Of the control plane's plain port on 127.0.0.1. */
  readonly discoveryPort: number | undefined;
  readonly id: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly variant?: "delta" | "sotw";
  readonly secrets?: SecretSource;
  readonly drainMs?: number;
}

export async function startAdsProxy(options: AdsProxyOptions): Promise<RunningProxy> {
  const { discoveryPort, id, metadata, variant = "delta", secrets, drainMs = 1000 } = options;
  const node = Node.fromPartial({ id, userAgentName: "weft", metadata });
  const proxy = startProxy({
    bootstrap: Bootstrap.fromPartial({ node }),
    source: makeAdsSource({
      target: `127.0.0.1:${discoveryPort}`,
      tls: undefined,
      node,
      variant,
      wildcards: new Set(["cluster", "listener"]),
      clock: systemClock,
      random: seededRandom(3),
    }),
    localSecrets: secrets,
    clock: systemClock,
    random: seededRandom(4),
    registry: new Registry(),
    drain: { ms: drainMs, strategy: "immediate" },
  });
  await proxy.ready;
  return proxy;
}
