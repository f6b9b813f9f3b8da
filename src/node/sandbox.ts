// Where a pod's processes run. One provider for each interception mode; the pod's life cycle knows only this.

import type { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import type { PodFirewalls } from "./network-policy.ts";
import type { Terminal } from "./terminal.ts";

export interface SandboxRequest {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Containers named here run beside the proxy, outside what it intercepts; everything else is behind it. */
  readonly proxyContainers: readonly string[];
  /** True when the pod has a proxy: without one nothing is intercepted. */
  readonly intercepted: boolean;
  /** True when the proxy answers the application's DNS questions. */
  readonly capturesDns: boolean;
  /** A directory of the pod's own, made by the caller and removed by it: volumes and files to mount live in it. */
  readonly directory: string;
}

/** A file or directory that a container sees at a path of its own. */
export interface Mount {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

export interface ProcessRequest {
  readonly container: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDirectory: string | undefined;
  readonly mounts: readonly Mount[];
  /** The process's standard streams and its controlling terminal; without one it has pipes. */
  readonly terminal?: Terminal | undefined;
}

export interface ResourceLimits {
  readonly cpuMillis: number | undefined;
  readonly memoryBytes: number | undefined;
}

export type ExitStatus =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "signaled"; readonly signal: string; readonly outOfMemory: boolean }
  /** The command never ran: not found, not executable, no such working directory. */
  | { readonly kind: "failed"; readonly message: string };

/** A running process of a container, or one started in it by exec. */
export interface SandboxProcess {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves once, when the process has ended and its output was delivered. */
  readonly exited: Promise<ExitStatus>;
  /** To the process group. */
  kill(signal: "SIGTERM" | "SIGKILL" | "SIGINT"): void;
}

/** What a process on this machine can be told by. */
export interface ProcessFacts {
  readonly pid: number;
  readonly session: number;
  /** Of its PID namespace: `pid:[4026531836]`. */
  readonly pidNamespace: string;
}

export interface Sandbox {
  /** The pod's address: what `status.podIP` says and peers connect to. */
  readonly podIP: string;
  /** Environment that the mode needs the application to have (HOST, PORT, proxy variables; nothing in the transparent mode). */
  environment(container: {
    readonly name: string;
    readonly ports: readonly number[];
  }): Readonly<Record<string, string>>;
  start(request: ProcessRequest, limits: ResourceLimits): SandboxProcess;
  /** A further process beside a running container, with its mounts and network. */
  exec(request: ProcessRequest): SandboxProcess;
  /** A connection to a port of the application, as from beside it. */
  dial(port: number): Promise<Socket>;
  /** Whether a process of this machine is the container's, for each container that runs. */
  owners(): ReadonlyMap<string, (process: ProcessFacts) => boolean>;
  /** Ends whatever still runs and gives everything back. Never rejects. */
  destroy(): Promise<void>;
}

/** What a Service needs on the node: clients that no proxy serves reach its address through these. */
export interface ServiceRoute {
  readonly namespace: string;
  readonly name: string;
  readonly clusterIP: string;
  readonly ports: readonly {
    readonly port: number;
    readonly protocol: "TCP" | "UDP";
    readonly endpoints: readonly { readonly ip: string; readonly port: number }[];
  }[];
  /** Headless services and ready pod addresses, for DNS. */
  readonly addresses: readonly string[];
  /** Pods with a name of their own below the service's. */
  readonly hosts?: readonly { readonly name: string; readonly ip: string }[];
}

export interface SandboxProvider {
  readonly mode: "transparent" | "explicit";
  /** The node's own address, where the control plane can be reached from a pod. */
  readonly nodeIP: string;
  create(request: SandboxRequest): Promise<Sandbox>;
  /** Replaces the whole table; the provider applies the difference. */
  setServices(routes: readonly ServiceRoute[]): void;
  /** Replaces what NetworkPolicies allow; a pod that is made from now on has its rules before anything of it runs. */
  setFirewalls(firewalls: PodFirewalls): void;
  /** Ends everything that is left and gives it back. Never rejects. */
  close(): Promise<void>;
}
