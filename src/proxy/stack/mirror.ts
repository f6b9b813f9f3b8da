// Mirrored requests: a copy goes to another cluster, and what comes back is thrown away.

import { RequestHead, type ResponseHead } from "../codec/head.ts";
import { writeRequestHead, writeTrailers } from "../codec/write.ts";
import type { UpstreamConnection, UpstreamUser } from "../upstream/connection.ts";
import type { HostPool, PoolWaiter } from "../upstream/pool.ts";
import type { Forward } from "./forward.ts";

/** Called when the request is complete; a body too large to keep is not mirrored, as in Envoy. */
export function startMirrors(forward: Forward): void {
  const { action, stream } = forward;
  if (action.mirrors.length === 0) return;
  if (!stream.replayable && stream.bytesReceived > 0) return;
  const { core } = stream.connection.runtime;
  for (const mirror of action.mirrors) {
    if (core.random() >= mirror.share) continue;
    const cluster = core.cluster(mirror.cluster || (stream.head.headers.get(mirror.header) ?? ""));
    if (cluster?.config.protocol === "http2") continue;
    const host = cluster?.pick({ hash: undefined, avoid: [], attemptsMax: 0 }, undefined);
    if (host === undefined) continue;
    const { head } = stream;
    const authority = mirror.keepHost ? head.authority : shadowHost(head.authority);
    const line = {
      method: head.method,
      path: head.path,
      authority,
      scheme: head.scheme,
      http10: false,
      absoluteForm: false,
    };
    const copy = new RequestHead(line, head.headers.clone());
    copy.framing = head.framing;
    const pool = host.pool(stream.protocols, "default", host.cluster.nameFor(authority, copy.headers));
    const mirrored = new Mirrored(copy, stream.buffered.slice(), pool);
    const connection = pool.acquire(mirrored);
    if (connection !== undefined) mirrored.onConnection(connection);
  }
}

function shadowHost(authority: string): string {
  const match = /^(.*?)(:\d+)?$/.exec(authority);
  return `${match?.[1] ?? authority}-shadow${match?.[2] ?? ""}`;
}

class Mirrored implements PoolWaiter, UpstreamUser {
  readonly #head: RequestHead;
  readonly #body: readonly Buffer[];
  readonly #pool: HostPool;
  #connection: UpstreamConnection | undefined;
  #keepAlive = false;

  constructor(head: RequestHead, body: readonly Buffer[], pool: HostPool) {
    this.#head = head;
    this.#body = body;
    this.#pool = pool;
  }

  onConnection(connection: UpstreamConnection): void {
    this.#connection = connection;
    this.#pool.host.cluster.stats.counters.upstream_rq_total.inc();
    connection.begin(this.#head.method, this);
    const { out } = connection;
    out.text(writeRequestHead(this.#head, this.#head.headers));
    for (const chunk of this.#body) {
      if (this.#head.framing === "chunked") out.chunk(chunk);
      else out.bytes(chunk);
    }
    if (this.#head.framing === "chunked") out.text(writeTrailers(undefined));
    out.flush();
  }

  onPoolFailure(): void {
    // Nobody waits for a mirror's answer.
  }

  onInformational(): void {
    // The same.
  }

  onResponse(head: ResponseHead, ended: boolean): void {
    this.#keepAlive = head.keepAlive;
    this.#pool.host.cluster.stats.response(head.status);
    if (head.status === 101) this.#connection?.destroy();
    else if (ended) this.#connection?.release(this.#keepAlive);
  }

  onBody(): void {
    // The same.
  }

  onEnd(): void {
    this.#connection?.release(this.#keepAlive);
  }

  onProtocolError(): void {
    this.#connection?.destroy();
  }

  onTunnel(): void {
    this.#connection?.destroy();
  }

  onClosed(): void {
    // The same.
  }

  onWritable(): void {
    // The body was kept within bounds and is written whole.
  }

  onReadDone(): void {
    // The same.
  }
}
