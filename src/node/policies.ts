// The node's view of NetworkPolicies: what changes of them, of pods and of namespaces becomes one new set of rules.

import type { KubeClient } from "../api/client.ts";
import { type Namespace, namespaceKind } from "../api/kubernetes/namespace.ts";
import { type NetworkPolicy, networkPolicyKind } from "../api/kubernetes/network-policy.ts";
import { type Pod, podKind } from "../api/kubernetes/pod.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { Followed } from "./followed.ts";
import { POLICIES_DEBOUNCE_MS } from "./limits.ts";
import { podFirewalls } from "./network-policy.ts";
import type { SandboxProvider } from "./sandbox.ts";

export class PolicyWatch {
  readonly #policies: Followed<NetworkPolicy>;
  readonly #pods: Followed<Pod>;
  readonly #namespaces: Followed<Namespace>;
  readonly #provider: SandboxProvider;
  readonly #clock: Clock;
  #timer: Timer | undefined;

  constructor(client: KubeClient, provider: SandboxProvider, clock: Clock) {
    this.#provider = provider;
    this.#clock = clock;
    const changed = () => this.#changed();
    this.#policies = new Followed(client, networkPolicyKind, changed);
    this.#pods = new Followed(client, podKind, changed);
    this.#namespaces = new Followed(client, namespaceKind, changed);
  }

  /** Now rather than in a moment: a pod is about to start, and what is known of it must hold. */
  async settle(pod: Pod): Promise<void> {
    await Promise.all([this.#policies.known, this.#pods.known, this.#namespaces.known]);
    this.#pods.put(pod);
    this.#timer?.cancel();
    this.#apply();
  }

  close(): void {
    this.#timer?.cancel();
    for (const each of [this.#policies, this.#pods, this.#namespaces]) each.stop();
  }

  #changed(): void {
    this.#timer ??= this.#clock.after(POLICIES_DEBOUNCE_MS, () => this.#apply());
  }

  #apply(): void {
    this.#timer = undefined;
    const [policies, pods, namespaces] = [this.#policies.list(), this.#pods.list(), this.#namespaces.list()];
    this.#provider.setFirewalls(podFirewalls({ policies, pods, namespaces }));
  }
}
