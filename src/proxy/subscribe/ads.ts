// One aggregated stream to the control plane, kept alive: connect, subscribe, acknowledge, and again after a failure.

import {
  Client,
  type ClientDuplexStream,
  connectivityState,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { backoffMs } from "../../base/backoff.ts";
import type { Clock, Timer } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import { err, ok, type Result } from "../../base/result.ts";
import type { Node } from "../../proto/gen/envoy/config/core/v3/base.ts";
import type { NameTable } from "../../proto/gen/istio/nds.ts";
import type { SecretSource } from "../socket/secret.ts";
import { makeDeltaWire } from "./delta.ts";
import {
  CONNECT_TIMEOUT_MS,
  KEEPALIVE_MS,
  KEEPALIVE_TIMEOUT_MS,
  RECONNECT_BASE_MS,
  RECONNECT_MAX_MS,
  RESPONSE_BYTES_MAX,
  STREAM_SETTLED_MS,
} from "./limits.ts";
import { NameTableState } from "./name-table.ts";
import { makeSotwWire } from "./sotw.ts";
import type { ResourceHandler, ResourceKind, ResourceSource } from "./source.ts";
import type { NamedKind, Wire } from "./wire.ts";

export interface AdsTls {
  /** Read anew for each connection. */
  rootPem(): Result<string, string>;
  /** What the server's certificate must be for, whatever address is dialled. */
  readonly serverName: string;
  /** Where the client certificate `default` is looked up. With another one the stream is opened anew: it shows who this is. */
  readonly secrets: SecretSource | undefined;
  /** The bearer token, read anew for each connection. */
  token(): string | undefined;
}

export interface AdsOptions {
  /** `HOST:PORT` or `unix:PATH`. */
  readonly target: string;
  readonly tls: AdsTls | undefined;
  readonly node: Node;
  readonly variant: "delta" | "sotw";
  /** What is subscribed as a whole: clusters, listeners or both. */
  readonly wildcards: ReadonlySet<ResourceKind>;
  /** Where DNS questions are answered: they are to be told of the mesh's names too. */
  readonly onNames?: ((table: NameTable) => void) | undefined;
  readonly clock: Clock;
  readonly random: Random;
}

export function makeAdsSource(options: AdsOptions): ResourceSource {
  const names = options.onNames === undefined ? undefined : new NameTableState(options.onNames);
  return options.variant === "delta"
    ? new AdsSource(options, makeDeltaWire(options.node, options.wildcards, names))
    : new AdsSource(options, makeSotwWire(options.node, options.wildcards, names));
}

type Phase<Q, S> =
  | { readonly kind: "stopped" }
  | { readonly kind: "connecting"; readonly client: Client }
  | { readonly kind: "streaming"; readonly client: Client; readonly stream: ClientDuplexStream<Q, S> }
  | { readonly kind: "waiting"; readonly timer: Timer };

class AdsSource<Q, S> implements ResourceSource {
  readonly listeners: boolean;
  readonly #options: AdsOptions;
  readonly #wire: Wire<Q, S>;
  #handler: ResourceHandler | undefined;
  #phase: Phase<Q, S> = { kind: "stopped" };
  #failures = 0;
  /** While a response is being handled, subscriptions wait so that its ACK goes first. */
  #held: Q[] | undefined;
  #unlisten: (() => void) | undefined;

  constructor(options: AdsOptions, wire: Wire<Q, S>) {
    this.listeners = options.wildcards.has("listener");
    this.#options = options;
    this.#wire = wire;
  }

  start(handler: ResourceHandler): void {
    if (this.#phase.kind !== "stopped") return;
    this.#handler = handler;
    this.#unlisten = this.#options.tls?.secrets?.onChange("default", () => this.#reopen());
    this.#connect();
  }

  setWanted(kind: NamedKind, names: ReadonlySet<string>): void {
    const request = this.#wire.want(kind, names);
    if (request === undefined) return;
    if (this.#held !== undefined) this.#held.push(request);
    else if (this.#phase.kind === "streaming") this.#phase.stream.write(request);
  }

  stop(): void {
    const phase = this.#phase;
    this.#phase = { kind: "stopped" };
    this.#handler = undefined;
    this.#unlisten?.();
    if (phase.kind === "waiting") phase.timer.cancel();
    if (phase.kind === "streaming") phase.stream.cancel();
    if (phase.kind === "streaming" || phase.kind === "connecting") phase.client.close();
  }

  /** What is here stays: the new stream goes on with the versions that this one brought. */
  #reopen(): void {
    const phase = this.#phase;
    if (phase.kind !== "streaming") return;
    this.#phase = { kind: "stopped" };
    phase.stream.cancel();
    phase.client.close();
    this.#connect();
  }

  #connect(): void {
    this.#handler?.onState({ kind: "connecting" });
    const made = makeClient(this.#options);
    if (!made.ok) {
      this.#retry(made.error);
      return;
    }
    const client = made.value;
    this.#phase = { kind: "connecting", client };
    this.#awaitChannel(client, Date.now() + CONNECT_TIMEOUT_MS);
  }

  /** Unlike grpc-js' own waitForReady, gives up at the first failure: the back-off is ours. */
  #awaitChannel(client: Client, deadlineMs: number): void {
    if (this.#phase.kind !== "connecting" || this.#phase.client !== client) return;
    const channel = client.getChannel();
    const state = channel.getConnectivityState(true);
    if (state === connectivityState.READY) {
      this.#open(client);
    } else if (state === connectivityState.TRANSIENT_FAILURE || Date.now() >= deadlineMs) {
      // The channel doesn't tell why; a call on it brings that out.
      this.#explain(client, (cause) => this.#retry(cause));
    } else {
      channel.watchConnectivityState(state, deadlineMs, () => this.#awaitChannel(client, deadlineMs));
    }
  }

  #explain(client: Client, run: (cause: string) => void): void {
    const { path, requestSerialize, responseDeserialize } = this.#wire.method;
    const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new Metadata(), {
      deadline: Date.now() + 1_000,
    });
    stream.on("data", () => stream.cancel());
    stream.on("error", (error: ServiceError) => {
      client.close();
      run(`${this.#options.target}: ${error.details}`);
    });
  }

  #open(client: Client): void {
    const { path, requestSerialize, responseDeserialize } = this.#wire.method;
    const metadata = new Metadata();
    const token = this.#options.tls?.token();
    if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
    const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
    const sinceMs = this.#options.clock.monotonicMs();
    this.#phase = { kind: "streaming", client, stream };
    let over = false;
    const end = (cause: string) => {
      if (over || this.#phase.kind !== "streaming" || this.#phase.stream !== stream) return;
      over = true;
      client.close();
      if (this.#options.clock.monotonicMs() - sinceMs >= STREAM_SETTLED_MS) this.#failures = 0;
      this.#retry(cause);
    };
    stream.on("data", (response: S) => this.#receive(response, stream));
    stream.on("error", (error: ServiceError) => end(describeFailure(this.#options.target, error)));
    stream.on("end", () => end(`${this.#options.target} closed the stream`));
    this.#handler?.onState({ kind: "connected", sinceMs: this.#options.clock.wallMs() });
    for (const request of this.#wire.open()) stream.write(request);
  }

  #receive(response: S, stream: ClientDuplexStream<Q, S>): void {
    if (this.#handler === undefined || this.#phase.kind !== "streaming" || this.#phase.stream !== stream) return;
    this.#held = [];
    try {
      const verdict = this.#wire.receive(response, this.#handler);
      if (verdict !== undefined) stream.write(verdict);
      for (const request of this.#held) stream.write(request);
    } finally {
      this.#held = undefined;
    }
  }

  #retry(cause: string): void {
    if (this.#phase.kind === "stopped" && this.#handler === undefined) return;
    this.#failures += 1;
    const retryInMs = Math.round(
      backoffMs(this.#failures, { baseMs: RECONNECT_BASE_MS, maxMs: RECONNECT_MAX_MS, random: this.#options.random }),
    );
    this.#phase = { kind: "waiting", timer: this.#options.clock.after(retryInMs, () => this.#connect()) };
    this.#handler?.onState({ kind: "disconnected", cause, retryInMs });
  }
}

const CHANNEL_OPTIONS = {
  "grpc.keepalive_time_ms": KEEPALIVE_MS,
  "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
  "grpc.max_receive_message_length": RESPONSE_BYTES_MAX,
  // Each connection has the certificate of its time: none is shared with an earlier client.
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_retries": 0,
  "grpc.service_config_disable_resolution": 1,
  // A proxy for HTTP in the environment is meant for the application.
  "grpc.enable_http_proxy": 0,
} as const;

function makeClient(options: AdsOptions): Result<Client, string> {
  const { target, tls } = options;
  if (tls === undefined) return ok(new Client(target, credentials.createInsecure(), CHANNEL_OPTIONS));
  const root = tls.rootPem();
  if (!root.ok) return err(root.error);
  const identity = tls.secrets?.get("default");
  const pair = identity?.kind === "certificate" ? identity : undefined;
  try {
    const channel = credentials.createSsl(
      Buffer.from(root.value),
      pair === undefined ? null : Buffer.from(pair.privateKeyPem),
      pair === undefined ? null : Buffer.from(pair.certificateChainPem),
    );
    const named = { "grpc.ssl_target_name_override": tls.serverName, "grpc.default_authority": tls.serverName };
    return ok(new Client(target, channel, { ...CHANNEL_OPTIONS, ...named }));
  } catch (error) {
    return err(`TLS to ${target}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function describeFailure(target: string, error: ServiceError): string {
  const name = status[error.code] ?? String(error.code);
  return `${target}: ${name}: ${error.details}`;
}
