// Services of the cluster on ports of this machine's loopback: what `weft up --publish` asks for.

import { createServer, type Server, type Socket } from "node:net";
import { endpointSliceKind } from "../api/kubernetes/endpoint-slice.ts";
import { podKind } from "../api/kubernetes/pod.ts";
import { serviceKind } from "../api/kubernetes/service.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { DataDir } from "./data-dir.ts";
import type { ClusterError } from "./failure.ts";
import { inheritedSocket } from "./launch/launch.ts";
import { PUBLISHED_MAX } from "./limits.ts";
import { openKeptPort } from "./ports.ts";
import type { RunningCluster } from "./running.ts";

export interface PublishedPort {
  readonly namespace: string;
  readonly service: string;
  readonly port: number;
  /** On 127.0.0.1; 0: a free one, kept from then on. */
  readonly hostPort: number;
}

/** `[HOST_PORT:][NAMESPACE/]SERVICE:PORT`. */
export function parsePublished(text: string): Result<PublishedPort, string> {
  const match = /^(?:(\d+):)?(?:([a-z0-9-]+)\/)?([a-z][a-z0-9-]*):(\d+)$/.exec(text);
  if (match === null) return err(`"${text}" is not [HOST_PORT:][NAMESPACE/]SERVICE:PORT, such as 8080:edge/ingress:80`);
  const [, hostPort = "0", namespace = "default", service = "", port = "0"] = match;
  const wrong = [hostPort, port].find((each) => Number(each) > 65_535);
  if (wrong !== undefined) return err(`"${text}": ${wrong} is not a port`);
  return ok({ namespace, service, port: Number(port), hostPort: Number(hostPort) });
}

/** As the command line has it. */
export function writePublished(each: PublishedPort): string {
  return `${each.hostPort === 0 ? "" : `${each.hostPort}:`}${nameOf(each)}`;
}

export interface OpenPublished {
  readonly published: PublishedPort;
  readonly server: Server;
}

/** Opened before the cluster starts, on the machine, as the API's is. */
export async function openPublished(
  dir: DataDir,
  wanted: readonly PublishedPort[],
): Promise<Result<readonly OpenPublished[], ClusterError>> {
  if (wanted.length > PUBLISHED_MAX) {
    return err({ message: `at most ${PUBLISHED_MAX} services can be published`, next: "Leave out a --publish." });
  }
  const open: OpenPublished[] = [];
  for (const each of wanted) {
    const fixed = each.hostPort === 0 ? undefined : each.hostPort;
    const opened = await openKeptPort(dir, { name: `publish ${nameOf(each)}`, flag: "--publish", fixed });
    if (!opened.ok) return opened;
    open.push({ published: { ...each, hostPort: opened.value.port }, server: opened.value.server });
  }
  return ok(open);
}

/** Their sockets by name, for who runs the cluster inside namespaces. */
export function publishedSockets(open: readonly OpenPublished[]): Readonly<Record<string, Server>> {
  return Object.fromEntries(open.map(({ server }, i) => [socketName(i), server]));
}

function socketName(index: number): string {
  return `publish-${index}`;
}

/** Each connection goes to a ready pod of the service, in turn. Returns how to stop. */
export function servePublished(cluster: RunningCluster, ports: readonly PublishedPort[]): () => void {
  const servers = ports.map((published, i) => {
    let turn = 0;
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
      turn += 1;
      void join(socket, cluster, published, turn);
    });
    server.on("error", (error) => console.error(`weft: --publish ${nameOf(published)}: ${error.message}`));
    const fd = inheritedSocket(socketName(i));
    if (fd === undefined) server.listen(published.hostPort, "127.0.0.1");
    else server.listen({ fd });
    console.log(`${nameOf(published)} is at 127.0.0.1:${published.hostPort}`);
    return server;
  });
  return () => {
    for (const server of servers) server.close();
  };
}

async function join(socket: Socket, cluster: RunningCluster, published: PublishedPort, turn: number): Promise<void> {
  socket.on("error", () => socket.destroy());
  const found = await endpointsOf(cluster, published);
  const chosen = found.ok ? found.value[turn % found.value.length] : undefined;
  const dialled =
    chosen === undefined
      ? err({ message: found.ok ? "no pod of it is ready" : found.error })
      : await cluster.runtime.dial(chosen.ref, chosen.port);
  if (!dialled.ok) {
    console.error(`weft: --publish ${nameOf(published)}: ${dialled.error.message}`);
    socket.destroy();
    return;
  }
  const target = dialled.value;
  target.on("error", () => socket.destroy());
  socket.on("close", () => target.destroy());
  target.on("close", () => socket.destroySoon());
  socket.pipe(target);
  target.pipe(socket);
}

interface Target {
  readonly ref: { readonly namespace: string; readonly pod: string; readonly uid: string; readonly container: string };
  readonly port: number;
}

async function endpointsOf(
  { client }: RunningCluster,
  { namespace, service, port }: PublishedPort,
): Promise<Result<readonly Target[], string>> {
  const found = await client.get(serviceKind, { namespace, name: service });
  if (!found.ok) return err(found.error.message);
  const wanted = (found.value.spec.ports ?? []).find((each) => each.port === port);
  if (wanted === undefined) return err(`it has no port ${port}`);
  const labelSelector = `kubernetes.io/service-name=${service}`;
  const slices = await client.list(endpointSliceKind, { namespace, labelSelector });
  if (!slices.ok) return err(slices.error.message);
  const targets: Target[] = [];
  for (const slice of slices.value) {
    const number = (slice.ports ?? []).find((each) => (each.name ?? "") === (wanted.name ?? ""))?.port;
    for (const { conditions, targetRef } of slice.endpoints) {
      const name = targetRef?.name;
      if (number === undefined || name === undefined || conditions?.ready === false) continue;
      const pod = await client.get(podKind, { namespace, name });
      if (!pod.ok) continue;
      const ref = { namespace, pod: name, uid: pod.value.metadata.uid ?? "", container: "*" };
      targets.push({ ref, port: number });
    }
  }
  return ok(targets);
}

function nameOf({ namespace, service, port }: PublishedPort): string {
  return `${namespace}/${service}:${port}`;
}
