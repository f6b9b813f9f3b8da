// What the mesh trusts, brought to everybody: by a ConfigMap to pods that start, by the stream to proxies that run;
// and its change, which waits for them.

import type { KubeClient } from "../api/client.ts";
import type { Clock } from "../base/clock.ts";
import type { Authority } from "../ca/authority.ts";
import type { Connection } from "../serve/server.ts";
import { ExpiryEvents } from "./expiry-event.ts";
import { distributeRootCert } from "./root-cert.ts";
import { followRotation, type TrustStatus } from "./rotation.ts";
import { TrustRollout } from "./trust-rollout.ts";

export interface TrustOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly authority: Authority;
  readonly streams: () => readonly Connection[];
  /** The proxies are to be told. */
  readonly onChange: () => void;
  /** Of the control plane. */
  readonly namespace: string;
  readonly log: (level: "info" | "warn", message: string) => void;
}

export interface TrustParts {
  status(): Promise<TrustStatus>;
  stop(): void;
}

export function startTrust(options: TrustOptions): TrustParts {
  const { client, clock, authority, streams, onChange, namespace, log } = options;
  const roots = distributeRootCert({ client, clock, rootPem: () => authority.rootPem, log });
  authority.onChange(() => {
    roots.refresh();
    onChange();
  });
  const rollout = new TrustRollout({ client, clock, authority, streams });
  const expiry = new ExpiryEvents({ client, clock, streams, log });
  const rotation = followRotation({ client, authority, rollout, namespace, log });
  return {
    status: () => rotation.status(),
    stop: () => {
      rotation.stop();
      expiry.stop();
      roots.stop();
    },
  };
}
