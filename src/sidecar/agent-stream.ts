// The agent's own stream to the control plane: what Envoy doesn't ask for. What the mesh trusts, the names that DNS
// questions are answered by, and where Jaeger agents are.

import { makeBootstrap } from "../agent/bootstrap.ts";
import type { CertificateKeeper } from "../agent/certificate.ts";
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
import { withTrust } from "./trust-source.ts";

export interface AgentStreamOptions {
  readonly config: SidecarConfig;
  readonly secrets: SecretSource;
  readonly keeper: CertificateKeeper;
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
    const { config, secrets, keeper, process, onNames } = options;
    const { clock, random } = process;
    const bootstrap = makeBootstrap(config);
    const { node } = bootstrap;
    // A stream beside the proxy's, which is not a proxy's own.
    if (node !== undefined) node.metadata = { ...node.metadata, WEFT_STREAM: "names" };
    const target = readAdsTarget(bootstrap, { secrets, token: () => readToken(config), clock, random });
    if (!target.ok) return target;
    if (target.value === undefined) return err("the bootstrap names no control plane");
    const { tls } = target.value;
    const checked = tls === undefined ? undefined : { ...tls, rootPem: () => keeper.rootPem() };
    const source = makeAdsSource({ ...target.value, tls: checked, wildcards: new Set(), onNames });
    return ok(new AgentStream(withTrust(source, (value) => keeper.takeTrust(value))));
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
