// The discovery server: streams in, sessions per proxy, pushes out. One slow or broken client holds up nobody else.

import { Duplex } from "node:stream";
import * as grpc from "@grpc/grpc-js";
import type { Clock } from "../base/clock.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { WorkloadIdentity } from "../identity/spiffe.ts";
import type { Node } from "../proto/gen/envoy/config/core/v3/base.ts";
import type { DeltaDiscoveryRequest, DiscoveryRequest } from "../proto/gen/envoy/service/discovery/v3/discovery.ts";
import { type ProxyNode, readNode } from "../translate/proxy.ts";
import { deltaMethod, stateMethod } from "./ads.ts";
import { PUSHES_PER_TURN, STALLED_AFTER_MS, STREAMS_MAX } from "./limits.ts";
import { type EncodedConfiguration, perType, type ResourceType, TYPES, typeOf } from "./resource.ts";
import { deltaResponse, type Response, stateResponse } from "./response.ts";
import { type Batch, type Refusal, Session, type TypeStatus } from "./session.ts";
import { Stall } from "./stall.ts";
import { Turns } from "./turns.ts";

/** What is known of a stream's other end before its first message. */
interface StreamPeer {
  readonly metadata: grpc.Metadata;
  /** DER of the client's certificate, where it gave one that the server's TLS accepted. */
  readonly certificate: Buffer | undefined;
  readonly address: string;
}

/** Undefined identity: nobody was asked for one (the plain port). */
export type Authenticate = (peer: StreamPeer) => Promise<Result<WorkloadIdentity | undefined, string>>;

interface DiscoveryEvents {
  readonly onConnect?: (proxy: ProxyNode) => void;
  readonly onDisconnect?: (proxy: ProxyNode) => void;
  /** `seconds`: since work on the proxy's configuration began. */
  readonly onPush?: (type: ResourceType, bytes: number, seconds: number) => void;
  /** Until the stream had taken an answer. */
  readonly onSent?: (seconds: number) => void;
  /** How long a proxy waited for its turn. */
  readonly onTurn?: (seconds: number) => void;
  /** An answer to something that was not the last that was sent. */
  readonly onExpired?: (type: ResourceType) => void;
  readonly onRefused?: (proxy: ProxyNode, type: ResourceType, refused: readonly Refusal[]) => void;
  readonly onSettled?: (proxy: ProxyNode, sequence: number) => void;
  readonly log?: (level: "info" | "warn", message: string) => void;
}

export interface DiscoveryOptions {
  readonly clock: Clock;
  /** The newest configuration of a proxy; undefined before there is any. */
  readonly configure: (proxy: ProxyNode) => EncodedConfiguration | undefined;
  readonly events: DiscoveryEvents;
}

export interface Connection {
  readonly proxy: ProxyNode;
  readonly session: Session;
  readonly connectedAtMs: number;
  /** Of the stream's other end. */
  readonly peer: string;
  /** DER of the certificate that it opened the stream with. */
  readonly certificate: Buffer | undefined;
  statuses(): Readonly<Record<ResourceType, TypeStatus>>;
}

/** What differs between the two variants of the protocol. */
interface Variant<Q> {
  readonly delta: boolean;
  read(request: Q, session: Session): void;
  response(batch: Batch, nonce: string, sequence: number): Response;
}

type Call<Q> = grpc.ServerDuplexStream<Q, Response>;

export class DiscoveryServer {
  readonly #options: DiscoveryOptions;
  readonly #connections = new Set<Connection>();
  /** Since when each waits for its turn. */
  readonly #due = new Map<Connection, number>();
  readonly #turns: Turns;
  #streams = 0;
  /** When the work began that leads to what is sent now. */
  #workSinceMs = 0;
  #nonce = 0;
  #scheduled = false;
  #closed = false;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#turns = new Turns(options.clock);
  }

  /** Those of agents beside proxies too. */
  streams(): readonly Connection[] {
    return [...this.#connections];
  }

  /** Of proxies: an agent that asks for names beside one is none. */
  connections(): readonly Connection[] {
    return [...this.#connections].filter(({ proxy }) => proxy.names !== true);
  }

  /** Adds the discovery service to a gRPC server; several servers may carry it, each with its own rule of who may come. */
  register(server: grpc.Server, authenticate: Authenticate): void {
    server.addService(
      { delta: deltaMethod, state: stateMethod },
      {
        delta: (call: Call<DeltaDiscoveryRequest>) => this.#serve(call, authenticate, deltaVariant),
        state: (call: Call<DiscoveryRequest>) => this.#serve(call, authenticate, stateVariant),
      },
    );
  }

  /** There is a new snapshot: every proxy gets what differs for it, a few in each turn of the event loop. */
  notify(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const connection of this.#connections) if (!this.#due.has(connection)) this.#due.set(connection, nowMs);
    this.#schedule();
  }

  close(): void {
    this.#closed = true;
    this.#due.clear();
    for (const connection of this.#connections) connection.session.close();
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed || this.#due.size === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      let left = PUSHES_PER_TURN;
      for (const [connection, sinceMs] of this.#due) {
        if (left-- === 0) break;
        this.#due.delete(connection);
        this.#options.events.onTurn?.((this.#options.clock.monotonicMs() - sinceMs) / 1_000);
        this.#push(connection);
      }
      this.#schedule();
    });
  }

  #push(connection: Connection): void {
    this.#workSinceMs = this.#options.clock.monotonicMs();
    const configuration = this.#options.configure(connection.proxy);
    if (configuration !== undefined) connection.session.setTarget(configuration);
  }

  #serve<Q extends { readonly node: Node | undefined }>(
    call: Call<Q>,
    authenticate: Authenticate,
    variant: Variant<Q>,
  ): void {
    if (this.#streams >= STREAMS_MAX || this.#closed) {
      refuseCall(call, grpc.status.RESOURCE_EXHAUSTED, `this control plane serves at most ${STREAMS_MAX} proxies`);
      return;
    }
    this.#streams += 1;
    let connection: Connection | undefined;
    let identity: Result<WorkloadIdentity | undefined, string> | undefined;
    const waiting: Q[] = [];
    const finish = (): void => {
      this.#streams -= 1;
      if (connection === undefined) return;
      connection.session.close();
      this.#connections.delete(connection);
      this.#due.delete(connection);
      this.#options.events.onDisconnect?.(connection.proxy);
    };
    const take = (request: Q): void => {
      if (identity === undefined) {
        if (waiting.length < TYPES.length * 4) waiting.push(request);
        return;
      }
      if (connection === undefined) {
        const opened = this.#open(call, request, identity, variant);
        if (!opened.ok) {
          this.#options.events.log?.("warn", `discovery stream refused: ${opened.error.message}`);
          refuseCall(call, opened.error.code, opened.error.message);
          return;
        }
        connection = opened.value;
      }
      this.#workSinceMs = this.#options.clock.monotonicMs();
      variant.read(request, connection.session);
    };
    call.on("data", take);
    call.on("end", () => call.end());
    call.on("error", () => undefined);
    call.on("close", once(finish));
    call.on("cancelled", once(finish));
    authenticate(peerOf(call)).then(
      (result) => {
        identity = result;
        for (const request of waiting.splice(0)) take(request);
      },
      (error: unknown) => {
        refuseCall(call, grpc.status.UNAUTHENTICATED, error instanceof Error ? error.message : String(error));
      },
    );
  }

  #open<Q extends { readonly node: Node | undefined }>(
    call: Call<Q>,
    request: Q,
    identity: Result<WorkloadIdentity | undefined, string>,
    variant: Variant<Q>,
  ): Result<Connection, { readonly code: grpc.status; readonly message: string }> {
    if (!identity.ok) return err({ code: grpc.status.UNAUTHENTICATED, message: identity.error });
    if (request.node === undefined)
      return err({ code: grpc.status.INVALID_ARGUMENT, message: "the first request names no node" });
    const node = readNode(request.node);
    if (!node.ok) return err({ code: grpc.status.INVALID_ARGUMENT, message: node.error });
    const { virtualHosts } = variant.delta ? node.value : INLINE;
    const proxy = bind({ ...node.value, virtualHosts }, identity.value);
    if (!proxy.ok) return err({ code: grpc.status.PERMISSION_DENIED, message: proxy.error });
    const connection = this.#connect(call, proxy.value, variant);
    this.#connections.add(connection);
    this.#options.events.onConnect?.(proxy.value);
    this.#push(connection);
    return ok(connection);
  }

  #connect<Q>(call: Call<Q>, proxy: ProxyNode, variant: Variant<Q>): Connection {
    const { events, clock } = this.#options;
    let blocked = false;
    const pump = (): void => session.pump();
    const stall = new Stall(clock, () => {
      const message = `${proxy.id} has taken nothing for ${STALLED_AFTER_MS / 1_000} s and is let go`;
      events.log?.("warn", message);
      refuseCall(call, grpc.status.UNAVAILABLE, message);
      cutOff(call);
    });
    call.once("close", () => {
      this.#turns.forget(pump);
      stall.stop();
    });
    const session = new Session(clock, {
      send: (batch) => {
        if (blocked || call.cancelled || call.destroyed) return undefined;
        const nonce = (++this.#nonce).toString(36);
        const response = variant.response(batch, nonce, session.configuration?.sequence ?? 0);
        const release = this.#turns.take(response.bytes, pump);
        if (release === undefined) return undefined;
        const nowMs = clock.monotonicMs();
        events.onPush?.(batch.type, response.bytes, (nowMs - this.#workSinceMs) / 1_000);
        stall.began();
        const done = (): void => {
          release();
          stall.ended();
          events.onSent?.((clock.monotonicMs() - nowMs) / 1_000);
        };
        if (!call.write(response, done)) {
          blocked = true;
          call.once("drain", () => {
            blocked = false;
            session.pump();
          });
        }
        return nonce;
      },
      onSettled: (sequence) => events.onSettled?.(proxy, sequence),
      onExpired: (type) => events.onExpired?.(type),
      onRefused: (type, message, refused) => {
        events.log?.("warn", `${proxy.id} refused ${type}: ${message}`);
        events.onRefused?.(proxy, type, refused);
      },
    });
    return {
      proxy,
      session,
      connectedAtMs: clock.wallMs(),
      peer: call.getPeer(),
      certificate: peerOf(call).certificate,
      statuses: () => perType((type) => session.status(type)),
    };
  }
}

/** The state of the world has no way to tell of single virtual hosts. */
const INLINE: Pick<ProxyNode, "virtualHosts"> = { virtualHosts: "inline" };

const deltaVariant: Variant<DeltaDiscoveryRequest> = {
  delta: true,
  read(request, session) {
    const type = typeOf(request.typeUrl);
    if (type === undefined) return;
    const nonce = request.responseNonce;
    if (nonce !== "" && request.errorDetail !== undefined) session.refuse(type, nonce, request.errorDetail.message);
    else if (nonce !== "") session.acknowledge(type, nonce);
    const { resourceNamesSubscribe: subscribe, resourceNamesUnsubscribe: unsubscribe } = request;
    if (nonce === "" || subscribe.length > 0 || unsubscribe.length > 0) {
      session.subscribe(type, { subscribe, unsubscribe, known: request.initialResourceVersions });
    }
  },
  response: (batch, nonce, sequence) =>
    deltaResponse({ type: batch.type, nonce, version: String(sequence) }, batch.parts),
};

const stateVariant: Variant<DiscoveryRequest> = {
  delta: false,
  read(request, session) {
    const type = typeOf(request.typeUrl);
    if (type === undefined) return;
    const nonce = request.responseNonce;
    if (nonce !== "" && request.errorDetail !== undefined) session.refuse(type, nonce, request.errorDetail.message);
    else if (nonce !== "") session.acknowledge(type, nonce);
    session.setNames(type, request.resourceNames, nonce === "" ? request.versionInfo : "");
  },
  response: (batch, nonce) => stateResponse({ type: batch.type, nonce }, batch.state(), batch.parts),
};

/** The stream's identity must be that of the pod which the node id names. */
function bind(proxy: ProxyNode, identity: WorkloadIdentity | undefined): Result<ProxyNode, string> {
  if (identity === undefined) return ok(proxy);
  if (identity.namespace !== proxy.namespace) {
    return err(
      `node ${proxy.id} is of namespace ${proxy.namespace}, but the stream's identity is of ${identity.namespace}`,
    );
  }
  return ok({ ...proxy, verified: true, serviceAccount: identity.serviceAccount });
}

function peerOf<Q>(call: Call<Q>): StreamPeer {
  const certificate = call.getAuthContext().sslPeerCertificate?.raw;
  return { metadata: call.metadata, certificate, address: call.getPeer() };
}

function refuseCall<Q>(call: Call<Q>, code: grpc.status, details: string): void {
  call.emit("error", { code, details });
}

/** What lies on a stream that nobody reads keeps its end from being told: the stream itself is closed. */
function cutOff<Q>(call: Call<Q>): void {
  const inner: unknown = Reflect.get(call, "call");
  const stream: unknown = typeof inner === "object" && inner !== null ? Reflect.get(inner, "stream") : undefined;
  if (stream instanceof Duplex) stream.destroy();
}

function once(run: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    run();
  };
}
