// The explicit mode: pods are processes on loopback addresses, told by environment where to listen and which proxy to use.
// Needs no privilege and no namespaces; an application that ignores the variables goes past the mesh.

import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { lstatSync, mkdirSync, symlinkSync, unlinkSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { dirname, join } from "node:path";
import type { PodFirewalls } from "../network-policy.ts";
import type {
  Mount,
  ProcessFacts,
  ProcessRequest,
  Sandbox,
  SandboxProcess,
  SandboxProvider,
  SandboxRequest,
  ServiceRoute,
} from "../sandbox.ts";
import { type AddressPool, openAddressPool } from "./addresses.ts";
import { endLeftovers, Ledger, POD_MARK } from "./ledger.ts";
import { launch } from "./process.ts";
import { startWatchdog, type Watchdog } from "./watchdog.ts";

export interface ExplicitOptions {
  /** A directory of this cluster alone: the ledger of running processes lives in it. */
  readonly runDirectory: string;
  /** The port of the sidecar that takes an application's HTTP proxy requests. */
  readonly proxyPort?: number;
  readonly platform?: NodeJS.Platform;
}

/** Ends what a crashed run left in the same directory, then is ready for pods. */
export async function openExplicitProvider(options: ExplicitOptions): Promise<ExplicitProvider> {
  const processes = join(options.runDirectory, "processes");
  const leftovers = endLeftovers(processes);
  const ledger = new Ledger(processes, randomUUID());
  const addresses = await openAddressPool(options.platform ?? process.platform);
  const watchdog = startWatchdog(ledger.directory);
  return new ExplicitProvider({ addresses, ledger, watchdog, proxyPort: options.proxyPort ?? 15001 }, leftovers);
}

interface Parts {
  readonly addresses: AddressPool;
  readonly ledger: Ledger;
  readonly watchdog: Watchdog;
  readonly proxyPort: number;
}

class ExplicitProvider implements SandboxProvider {
  readonly mode = "explicit";
  readonly nodeIP = "127.0.0.1";
  /** Process groups of an earlier run that were found and ended at start. */
  readonly leftovers: number;
  readonly #parts: Parts;
  readonly #sandboxes = new Set<Sandbox>();

  constructor(parts: Parts, leftovers: number) {
    this.#parts = parts;
    this.leftovers = leftovers;
  }

  async create(request: SandboxRequest): Promise<Sandbox> {
    const podIP = this.#parts.addresses.take();
    if (podIP === undefined) throw new Error("no loopback address is free for another pod; delete pods first");
    const sandbox = new ExplicitSandbox(request, podIP, this.#parts, () => {
      this.#sandboxes.delete(sandbox);
      this.#parts.addresses.release(podIP);
    });
    this.#sandboxes.add(sandbox);
    return sandbox;
  }

  /** Nothing to do: names reach other pods only through a proxy in this mode. */
  setServices(routes: readonly ServiceRoute[]): void {
    void routes;
  }

  /** Nothing stands between processes on one loopback: whoever makes a policy is told. */
  setFirewalls(firewalls: PodFirewalls): void {
    void firewalls;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#sandboxes].map((sandbox) => sandbox.destroy()));
    await this.#parts.watchdog.close();
    this.#parts.ledger.close();
    await this.#parts.addresses.close();
  }
}

class ExplicitSandbox implements Sandbox {
  readonly podIP: string;
  readonly #request: SandboxRequest;
  readonly #parts: Parts;
  readonly #onDestroy: () => void;
  readonly #running = new Map<SandboxProcess, { readonly container: string; readonly pid: number | undefined }>();
  #destroyed: Promise<void> | undefined;

  constructor(request: SandboxRequest, podIP: string, parts: Parts, onDestroy: () => void) {
    this.#request = request;
    this.podIP = podIP;
    this.#parts = parts;
    this.#onDestroy = onDestroy;
  }

  environment(container: { readonly name: string; readonly ports: readonly number[] }): Record<string, string> {
    const port = container.ports[0];
    const behindProxy = this.#request.intercepted && !this.#request.proxyContainers.includes(container.name);
    const proxy = `http://${this.podIP}:${this.#parts.proxyPort}`;
    const direct = "localhost,127.0.0.1";
    return {
      HOST: this.podIP,
      ...(port === undefined ? {} : { PORT: String(port) }),
      WEFT_FILES_ROOT: this.#filesRoot(container.name),
      ...(behindProxy
        ? {
            http_proxy: proxy,
            HTTP_PROXY: proxy,
            no_proxy: direct,
            NO_PROXY: direct,
            // Node's own clients look at the variables only when told to.
            NODE_USE_ENV_PROXY: "1",
          }
        : {}),
    };
  }

  start(request: ProcessRequest): SandboxProcess {
    this.#layOut(request.container, request.mounts);
    return this.exec(request);
  }

  exec(request: ProcessRequest): SandboxProcess {
    const env = { ...request.env, [POD_MARK]: this.#request.uid };
    const { pid, ...started } = launch({ ...request, env, podUid: this.#request.uid }, this.#parts.ledger);
    this.#running.set(started, { container: request.container, pid });
    void started.exited.then(() => this.#running.delete(started));
    if (this.#destroyed !== undefined) started.kill("SIGKILL");
    return started;
  }

  async dial(port: number): Promise<Socket> {
    const socket = connect({ host: this.podIP, port });
    await once(socket, "connect");
    return socket;
  }

  /** Each process that was started leads a session, which its children stay in unless they make one of their own. */
  owners(): ReadonlyMap<string, (process: ProcessFacts) => boolean> {
    const sessions = Map.groupBy(this.#running.values(), ({ container }) => container);
    return new Map(
      [...sessions].map(([container, running]) => {
        const leaders = new Set(running.map(({ pid }) => pid));
        return [container, (process) => leaders.has(process.session)];
      }),
    );
  }

  destroy(): Promise<void> {
    this.#destroyed ??= this.#end();
    return this.#destroyed;
  }

  async #end(): Promise<void> {
    for (const running of this.#running.keys()) running.kill("SIGKILL");
    await Promise.all([...this.#running.keys()].map((running) => running.exited));
    this.#onDestroy();
  }

  #filesRoot(container: string): string {
    return join(this.#request.directory, "root", container);
  }

  /** Without mounts, a container's files begin at a directory of its own, where links stand for what would be mounted. */
  #layOut(container: string, mounts: readonly Mount[]): void {
    const root = this.#filesRoot(container);
    mkdirSync(root, { recursive: true, mode: 0o700 });
    const shallowFirst = [...mounts].sort((a, b) => a.target.length - b.target.length);
    for (const mount of shallowFirst) {
      const link = join(root, mount.target);
      mkdirSync(dirname(link), { recursive: true });
      // What is no link of ours may be the user's own data, below a host path that is mounted further up.
      const present = lstatSync(link, { throwIfNoEntry: false });
      if (present?.isSymbolicLink() === true) unlinkSync(link);
      if (present === undefined || present.isSymbolicLink()) symlinkSync(mount.source, link);
    }
  }
}
