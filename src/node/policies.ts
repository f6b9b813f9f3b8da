// The node's view of NetworkPolicies: what changes of them, of pods and of namespaces becomes one new set of rules.

import type { KubeClient, Watch } from "../api/client.ts";
import { type Namespace, namespaceKind } from "../api/kubernetes/namespace.ts";
import { type NetworkPolicy, networkPolicyKind } from "../api/kubernetes/network-policy.ts";
import { type Pod, podKind } from "../api/kubernetes/pod.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { POLICIES_DEBOUNCE_MS } from "./limits.ts";
import { podFirewalls } from "./network-policy.ts";
import type { SandboxProvider } from "./sandbox.ts";

export class PolicyWatch {
  readonly #policies = new Map<string, NetworkPolicy>();
  readonly #pods = new Map<string, Pod>();
  readonly #namespaces = new Map<string, Namespace>();
  readonly #watches: readonly Watch[];
  readonly #provider: SandboxProvider;
  readonly #clock: Clock;
  /** Resolves once what was there at the start is known. */
  readonly #known: Promise<unknown>;
  #timer: Timer | undefined;

  constructor(client: KubeClient, provider: SandboxProvider, clock: Clock) {
    this.#provider = provider;
    this.#clock = clock;
    const synced = [0, 1, 2].map(() => Promise.withResolvers<void>());
    this.#known = Promise.all(synced.map(({ promise }) => promise));
    const follow = <T extends Pod | NetworkPolicy | Namespace>(map: Map<string, T>, at: number) => {
      return (event: { type: "added" | "modified" | "deleted"; object: T } | { type: "synced" }) => {
        if (event.type === "synced") return synced[at]?.resolve();
        const key = keyOf(event.object);
        if (event.type !== "deleted") map.set(key, event.object);
        // Another one may have taken the name meanwhile.
        else if (map.get(key)?.metadata.uid === event.object.metadata.uid) map.delete(key);
        this.#changed();
      };
    };
    this.#watches = [
      client.watch(networkPolicyKind, {}, follow(this.#policies, 0)),
      client.watch(podKind, {}, follow(this.#pods, 1)),
      client.watch(namespaceKind, {}, follow(this.#namespaces, 2)),
    ];
  }

  /** Now rather than in a moment: a pod is about to start, and what is known of it must hold. */
  async settle(pod: Pod): Promise<void> {
    await this.#known;
    this.#pods.set(keyOf(pod), pod);
    this.#timer?.cancel();
    this.#apply();
  }

  close(): void {
    this.#timer?.cancel();
    for (const watch of this.#watches) watch.stop();
  }

  #changed(): void {
    this.#timer ??= this.#clock.after(POLICIES_DEBOUNCE_MS, () => this.#apply());
  }

  #apply(): void {
    this.#timer = undefined;
    this.#provider.setFirewalls(
      podFirewalls({
        policies: [...this.#policies.values()],
        pods: [...this.#pods.values()],
        namespaces: [...this.#namespaces.values()],
      }),
    );
  }
}

function keyOf({ metadata }: Pod | NetworkPolicy | Namespace): string {
  return `${metadata.namespace ?? ""}/${metadata.name}`;
}
