// A pod's sandbox: its network and its containers.

import type { Socket } from "node:net";
import { hostname } from "node:os";
import type {
  ProcessFacts,
  ProcessRequest,
  ResourceLimits,
  Sandbox,
  SandboxProcess,
  SandboxRequest,
} from "../sandbox.ts";
import type { CgroupTree } from "./cgroup.ts";
import { Container, type ContainerTools, refusedProcess } from "./container.ts";
import { dialInNamespace } from "./dial.ts";
import { mountScript } from "./mounts.ts";
import { destroyScript, innerNamespace, outerNamespace, type PodNetwork } from "./pod-network.ts";
import { runScript } from "./script.ts";

export interface PodContext {
  readonly tools: ContainerTools;
  readonly cgroups: CgroupTree;
  readonly scratch: string;
  readonly nameserver: string;
  /** Called once everything is given back. */
  readonly released: () => void;
}

export class TransparentPod implements Sandbox {
  readonly podIP: string;
  readonly #request: SandboxRequest;
  readonly #network: PodNetwork;
  readonly #context: PodContext;
  readonly #containers = new Map<string, Container>();
  #ending: Promise<void> | undefined;

  constructor(request: SandboxRequest, network: PodNetwork, context: PodContext) {
    this.podIP = network.addresses.podIP;
    this.#request = request;
    this.#network = network;
    this.#context = context;
  }

  /** The application needs to know of nothing. */
  environment(): Readonly<Record<string, string>> {
    return {};
  }

  start(request: ProcessRequest, limits: ResourceLimits): SandboxProcess {
    if (this.#ending !== undefined) return refusedProcess(`weft: pod ${this.#name()} is being removed`);
    void this.#containers.get(request.container)?.kill();
    const container = this.#makeContainer(request, limits);
    this.#containers.set(request.container, container);
    const process = container.start(request);
    void process.exited.then(() => {
      if (this.#containers.get(request.container) === container) this.#containers.delete(request.container);
      return container.kill();
    });
    return process;
  }

  exec(request: ProcessRequest): SandboxProcess {
    const container = this.#containers.get(request.container);
    if (container === undefined) {
      return refusedProcess(`weft: container ${request.container} of pod ${this.#name()} is not running`);
    }
    return container.exec(request);
  }

  /** The application may listen on all addresses, on loopback, or on the pod's own alone. */
  async dial(port: number): Promise<Socket> {
    const namespace = innerNamespace(this.#network);
    try {
      return await dialInNamespace(namespace, { ip: "127.0.0.1", port });
    } catch {
      return dialInNamespace(namespace, { ip: this.podIP, port });
    }
  }

  owners(): ReadonlyMap<string, (process: ProcessFacts) => boolean> {
    return new Map(
      [...this.#containers].map(([name, container]) => {
        const namespace = container.pidNamespace;
        return [name, (process) => namespace !== undefined && process.pidNamespace === namespace];
      }),
    );
  }

  destroy(): Promise<void> {
    this.#ending ??= this.#destroy();
    return this.#ending;
  }

  async #destroy(): Promise<void> {
    await Promise.all([...this.#containers.values()].map((container) => container.kill()));
    this.#containers.clear();
    await runScript(destroyScript(this.#network));
    this.#context.released();
  }

  #makeContainer(request: ProcessRequest, limits: ResourceLimits): Container {
    const { tools, cgroups, scratch, nameserver } = this.#context;
    const besideProxy = this.#request.proxyContainers.includes(request.container);
    const namespace = besideProxy ? outerNamespace(this.#network) : innerNamespace(this.#network);
    return new Container({
      tools,
      networkNamespace: namespace,
      mountScript: mountScript({
        scratch,
        mounts: request.mounts,
        hostname: this.#request.name.slice(0, HOSTNAME_BYTES_MAX) || hostname(),
        podIP: this.podIP,
        nameserver,
        namespace: this.#request.namespace,
      }),
      cgroup: cgroups.create(this.#cgroupName(request.container), limits),
    });
  }

  /** A restarted container's group must not meet the one that is still being removed. */
  #cgroupName(container: string): string {
    return `${this.#network.addresses.number}-${container}-${sequence++}`;
  }

  #name(): string {
    return `${this.#request.namespace}/${this.#request.name}`;
  }
}

let sequence = 0;

/** As Kubernetes cuts a long pod name. */
const HOSTNAME_BYTES_MAX = 63;
