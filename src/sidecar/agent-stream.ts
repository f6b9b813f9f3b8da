// The agent's own stream to the control plane: what Envoy doesn't ask for. The names that DNS questions are answered by,
// and where Jaeger agents are. Opened when one of them is first wanted.

import { makeBootstrap } from "../agent/bootstrap.ts";
import type { SidecarConfig } from "../agent/environment.ts";
import type { AgentHost } from "../agent/span-receiver.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { ClusterLoadAssignment } from "../proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import type { NameTable } from "../proto/gen/istio/nds.ts";
import type { SecretSource } from "../proxy/socket/secret.ts";
import { makeAdsSource } from "../proxy/subscribe/ads.ts";
import type { ResourceSource, ResourceUpdate } from "../proxy/subscribe/source.ts";
import { readAdsTarget } from "../proxy/subscribe/target.ts";
import { readToken } from "./pod.ts";
import type { Process } from "./process.ts";

export interface AgentStreamOptions {
  readonly config: SidecarConfig;
  readonly secrets: SecretSource;
  readonly process: Process;
  /** Undefined where no DNS questions are answered. */
  readonly onNames: ((table: NameTable) => void) | undefined;
}

export class AgentStream {
  readonly #source: ResourceSource;
  readonly #hosts = new Map<string, readonly AgentHost[]>();
  readonly #wanted = new Set<string>();
  #started = false;

  static open(options: AgentStreamOptions): Result<AgentStream, string> {
    const { config, secrets, process, onNames } = options;
    const { clock, random } = process;
    const bootstrap = makeBootstrap(config);
    const { node } = bootstrap;
    // A stream beside the proxy's, which is not a proxy's own.
    if (node !== undefined) node.metadata = { ...node.metadata, WEFT_STREAM: "names" };
    const target = readAdsTarget(bootstrap, { secrets, token: () => readToken(config), clock, random });
    if (!target.ok) return target;
    if (target.value === undefined) return err("the bootstrap names no control plane");
    return ok(new AgentStream(makeAdsSource({ ...target.value, wildcards: new Set(), onNames })));
  }

  private constructor(source: ResourceSource) {
    this.#source = source;
  }

  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#source.start({
      onUpdate: (update) => {
        this.#take(update);
        return [];
      },
      onState: () => undefined,
    });
  }

  /** Empty at first: they are asked for then. */
  hosts(cluster: string): readonly AgentHost[] {
    if (!this.#wanted.has(cluster)) {
      this.#wanted.add(cluster);
      this.#source.setWanted("endpoint", new Set(this.#wanted));
      this.start();
    }
    return this.#hosts.get(cluster) ?? [];
  }

  stop(): void {
    if (this.#started) this.#source.stop();
  }

  #take(update: ResourceUpdate): void {
    if (update.kind !== "endpoint") return;
    for (const name of update.removed) this.#hosts.delete(name);
    for (const { name, resource } of update.changed) this.#hosts.set(name, hostsOf(resource));
  }
}

function hostsOf({ endpoints }: ClusterLoadAssignment): readonly AgentHost[] {
  return endpoints.flatMap(({ lbEndpoints }) =>
    lbEndpoints.flatMap(({ hostIdentifier }): AgentHost[] => {
      const at = hostIdentifier?.$case === "endpoint" ? hostIdentifier.value.address?.address : undefined;
      if (at?.$case !== "socketAddress" || at.value.portSpecifier?.$case !== "portValue") return [];
      return [{ host: at.value.address, port: at.value.portSpecifier.value }];
    }),
  );
}
