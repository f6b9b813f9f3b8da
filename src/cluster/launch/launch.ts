// Starts weft again inside namespaces of its own, with sockets that were opened outside. The sockets stay in the
// network that they were opened in, so nothing has to forward between the two.

import { type ChildProcess, spawn } from "node:child_process";
import type { Socket as UdpSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import type { Server } from "node:net";
import { err, ok, type Result } from "../../base/result.ts";
import { findTool } from "../../node/transparent/script.ts";
import { INHERITED_SOCKETS_MAX } from "./limits.ts";

export interface LaunchRequest {
  /** Program and arguments, by absolute path. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Listening or bound sockets by name: `inheritedSocket(name)` finds them inside. Closed here once handed over. */
  readonly sockets: Readonly<Record<string, Server | UdpSocket>>;
}

export type LaunchExit =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "signaled"; readonly signal: string };

export interface LaunchedNode {
  /** The outermost process of the namespaces, on the machine. */
  readonly pid: number;
  readonly exited: Promise<LaunchExit>;
  /** To weft inside: SIGTERM and SIGINT end it gracefully; SIGKILL ends everything in the namespaces at once. */
  signal(signal: "SIGTERM" | "SIGINT" | "SIGKILL"): void;
}

const INHERITED_VARIABLE = "WEFT_INHERITED_SOCKETS";
const FIRST_INHERITED_FD = 3;

/**
 * Process 1 inside: Node doesn't reap what it hasn't started, a shell's `wait` does. It hands signals on, and ends
 * with weft's exit code; with it, everything in the namespaces ends. (Descriptor 9: a shell gives its background
 * commands /dev/null as their standard input.)
 */
const INIT = `
trap 'kill -TERM "$weft"' TERM
trap 'kill -INT "$weft"' INT
exec 9<&0
"$@" <&9 9<&- &
exec 9<&-
weft=$!
while :; do
  wait "$weft"
  code=$?
  kill -0 "$weft" 2>/dev/null || exit "$code"
done
`;

/**
 * The child ends when this process does, however that happens: setpriv asks the kernel for it, and unshare passes it
 * on to process 1 of the namespaces. It is outside the terminal's process group, so that Ctrl-C arrives once, from
 * the caller through `signal`.
 */
export function launchInNamespaces(request: LaunchRequest): Result<LaunchedNode, string> {
  const setpriv = findTool("setpriv");
  const unshare = findTool("unshare");
  if (setpriv === undefined || unshare === undefined) {
    return err("setpriv and unshare are needed to make namespaces: install util-linux");
  }
  const names = Object.keys(request.sockets);
  if (names.length > INHERITED_SOCKETS_MAX) return err(`at most ${INHERITED_SOCKETS_MAX} sockets can be handed over`);
  const fds: number[] = [];
  for (const [name, socket] of Object.entries(request.sockets)) {
    const fd = descriptorOf(socket);
    if (fd === undefined) return err(`socket ${name} isn't open, so it can't be handed over`);
    fds.push(fd);
  }
  const inherited = names.map((name, index) => `${name}=${FIRST_INHERITED_FD + index}`).join(",");
  const child = spawn(
    setpriv,
    ["--pdeathsig", "KILL", unshare, ...unshareOptions(), "/bin/sh", "-c", INIT, "weft-init", ...request.argv],
    {
      stdio: ["inherit", "inherit", "inherit", ...fds],
      detached: true,
      env: { ...ALLOCATOR, ...request.env, [INHERITED_VARIABLE]: inherited },
    },
  );
  // From here on the child answers on them: a connection taken by this process would be lost.
  for (const socket of Object.values(request.sockets)) socket.close();
  return child.pid === undefined ? err(`${setpriv} could not be started`) : ok(launched(child, child.pid));
}

/**
 * For the process of the control plane: what a large response needed goes back to the system once it was sent. The C
 * library would keep more with each size that it sees, a hundred megabytes after 500 proxies connected.
 */
export const ALLOCATOR = { MALLOC_TRIM_THRESHOLD_: "131072" };

/** Options that make the node's namespaces, for root and for anybody else. */
export function unshareOptions(): string[] {
  const user = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  return [...user, "--net", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"];
}

/** The descriptor of a socket that the launcher handed over under this name. */
export function inheritedSocket(name: string, env: NodeJS.ProcessEnv = process.env): number | undefined {
  const entry = (env[INHERITED_VARIABLE] ?? "").split(",").find((item) => item.startsWith(`${name}=`));
  const fd = Number(entry?.slice(name.length + 1));
  return Number.isInteger(fd) && fd >= FIRST_INHERITED_FD ? fd : undefined;
}

function launched(child: ChildProcess, pid: number): LaunchedNode {
  return {
    pid,
    exited: new Promise((resolve) => {
      child.on("error", () => resolve({ kind: "exited", code: 1 }));
      child.on("exit", (code, signal) =>
        resolve(signal === null ? { kind: "exited", code: code ?? 0 } : { kind: "signaled", signal }),
      );
    }),
    signal: (signal) => {
      // unshare itself does not hand signals on: process 1 of the namespaces, its only child, does.
      const init = signal === "SIGKILL" ? undefined : onlyChild(pid);
      try {
        process.kill(init ?? pid, init === undefined ? "SIGKILL" : signal);
      } catch {
        // Already ended: `exited` says so.
      }
    },
  };
}

function onlyChild(pid: number): number | undefined {
  try {
    const [first] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
    return first ? Number(first) : undefined;
  } catch {
    return undefined;
  }
}

// Node has no public way to ask for a descriptor; both its runtimes keep it here.
function descriptorOf(socket: Server | UdpSocket): number | undefined {
  const handle: unknown = Reflect.get(socket, "_handle") ?? Reflect.get(Object(stateOf(socket)), "handle");
  const fd: unknown = typeof handle === "object" && handle !== null ? Reflect.get(handle, "fd") : undefined;
  return typeof fd === "number" && fd >= 0 ? fd : undefined;
}

/** A UDP socket keeps its handle behind a symbol. */
function stateOf(socket: Server | UdpSocket): unknown {
  const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === "state symbol");
  return symbol === undefined ? undefined : Reflect.get(socket, symbol);
}
