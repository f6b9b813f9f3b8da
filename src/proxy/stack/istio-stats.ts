// Istio's standard metrics: requests and connections by who calls whom, counted at the caller and at the called one.
// What is the same from one request to the next (peers, codes) is looked up once and kept with its counters.

import type { Socket } from "node:net";
import {
  ISTIO_BYTES,
  NOBODY,
  UNKNOWN,
  type Workload,
  workloadLabels,
  workloadOfEndpoint,
  workloadOfMetadata,
  workloadOfPrincipal,
} from "../../observe/istio-metrics.ts";
import type { Counter, Histogram, Labels, Registry } from "../../observe/metrics.ts";
import type { Node } from "../../proto/gen/envoy/config/core/v3/base.ts";
import type { ClusterConfig } from "../compile/cluster.ts";
import { ISTIO_CODES_MAX, ISTIO_PEERS_MAX } from "../limits.ts";
import { type Peer, tlsViewOf } from "../socket/identity.ts";
import type { Host } from "../upstream/host.ts";
import type { ConnectionInfo } from "./connection-info.ts";
import type { HttpStream } from "./http-stream.ts";

export class IstioStats {
  readonly #self: Workload;
  readonly #registry: Registry;
  readonly #outbound: IstioReporter;
  readonly #inbound: IstioReporter;

  /** Undefined for a node that doesn't say which workload it serves. */
  static of(node: Node | undefined, registry: Registry): IstioStats | undefined {
    const self = workloadOfMetadata(node?.metadata ?? {});
    return self === undefined ? undefined : new IstioStats(self, registry);
  }

  private constructor(self: Workload, registry: Registry) {
    this.#self = self;
    this.#registry = registry;
    this.#outbound = new SourceReporter(this.#self, this.#registry);
    this.#inbound = new DestinationReporter(this.#self, this.#registry);
  }

  /** A gateway's listeners say no direction: it calls into the mesh. */
  reporter(direction: "inbound" | "outbound" | "unspecified"): IstioReporter {
    return direction === "inbound" ? this.#inbound : this.#outbound;
  }
}

export interface IstioReporter {
  onRequest(stream: HttpStream): void;
  onConnected(connection: TcpParties): IstioConnection;
}

interface TcpParties {
  readonly host: Host;
  readonly info: ConnectionInfo;
  readonly upstream: Socket;
  readonly peer: Peer | undefined;
}

/** The bytes of one TCP connection, counted as they grow. */
export class IstioConnection {
  readonly #counters: TcpCounters;
  #received = 0;
  #sent = 0;

  constructor(counters: TcpCounters) {
    this.#counters = counters;
    counters.opened.value += 1;
  }

  count(received: number, sent: number): void {
    this.#counters.received.value += received - this.#received;
    this.#counters.sent.value += sent - this.#sent;
    this.#received = received;
    this.#sent = sent;
  }

  close(received: number, sent: number): void {
    this.count(received, sent);
    this.#counters.closed.value += 1;
  }
}

/** What was called. */
type Called = Pick<ClusterConfig, "name" | "service">;

/** A request that was answered here was on its way to where its route leads. */
function clusterOf({ forward, connection, routeCluster }: HttpStream): Called | undefined {
  return (forward?.cluster ?? connection.runtime.core.cluster(routeCluster))?.config;
}

class SourceReporter implements IstioReporter {
  readonly #self: Workload;
  readonly #registry: Registry;
  readonly #hosts = new WeakMap<Host, Flow>();
  /** Requests that reached no host, by the cluster's name. */
  readonly #nowhere = new Map<string, Flow>();

  constructor(self: Workload, registry: Registry) {
    this.#self = self;
    this.#registry = registry;
  }

  onRequest(stream: HttpStream): void {
    const host = stream.forward?.host;
    const flow = host === undefined ? this.#noHost(stream) : this.#flowTo(host, stream);
    flow.request(stream);
  }

  onConnected({ host, upstream, peer }: TcpParties): IstioConnection {
    let flow = this.#hosts.get(host);
    if (flow === undefined || flow.about !== host.endpoint.workload) {
      flow = this.#make(host, upstream, peer);
      this.#hosts.set(host, flow);
    }
    return new IstioConnection(flow.tcp());
  }

  #flowTo(host: Host, stream: HttpStream): Flow {
    const known = this.#hosts.get(host);
    // An address may be another workload's after a while.
    if (known !== undefined && known.about === host.endpoint.workload) return known;
    const connection = stream.forward?.attempt?.connection;
    const flow = this.#make(host, connection?.socket, connection?.peer);
    // Before the first connection nobody has shown who he is; what is kept has to say it.
    if (connection !== undefined) this.#hosts.set(host, flow);
    return flow;
  }

  #make(host: Host, socket: Socket | undefined, peer: Peer | undefined): Flow {
    const { workload } = host.endpoint;
    const own = peer === undefined || socket === undefined ? undefined : tlsViewOf(socket, undefined)?.local;
    const labels = {
      reporter: "source",
      ...workloadLabels("source", this.#self, own?.uriSans[0]),
      ...workloadLabels("destination", workloadOfEndpoint(workload), peer?.uris[0]),
      ...serviceLabels(host.cluster.config),
      connection_security_policy: UNKNOWN,
    };
    return new Flow(this.#registry, labels, workload);
  }

  #noHost(stream: HttpStream): Flow {
    const name = stream.forward?.clusterName || stream.routeCluster;
    const known = this.#nowhere.get(name);
    if (known !== undefined) return known;
    const flow = new Flow(this.#registry, {
      reporter: "source",
      ...workloadLabels("source", this.#self, undefined),
      ...workloadLabels("destination", NOBODY, undefined),
      ...serviceLabels(clusterOf(stream), name),
      connection_security_policy: UNKNOWN,
    });
    if (this.#nowhere.size < ISTIO_PEERS_MAX) this.#nowhere.set(name, flow);
    return flow;
  }
}

class DestinationReporter implements IstioReporter {
  readonly #self: Workload;
  readonly #registry: Registry;
  /** By the peer's identity, then by the cluster's name. */
  readonly #peers = new Map<string, Map<string, Flow>>();

  constructor(self: Workload, registry: Registry) {
    this.#self = self;
    this.#registry = registry;
  }

  onRequest(stream: HttpStream): void {
    this.#flow(stream.connection.info, clusterOf(stream)).request(stream);
  }

  onConnected({ host, info }: TcpParties): IstioConnection {
    return new IstioConnection(this.#flow(info, host.cluster.config).tcp());
  }

  #flow(info: ConnectionInfo, cluster: Called | undefined): Flow {
    const principal = info.peer?.uris[0] ?? "";
    let flows = this.#peers.get(principal);
    if (flows === undefined) {
      if (this.#peers.size >= ISTIO_PEERS_MAX) return this.#make({ ...info, peer: undefined }, cluster);
      flows = new Map();
      this.#peers.set(principal, flows);
    }
    const name = cluster?.name ?? "";
    let flow = flows.get(name);
    if (flow === undefined) {
      flow = this.#make(info, cluster);
      flows.set(name, flow);
    }
    return flow;
  }

  #make(info: Pick<ConnectionInfo, "peer" | "localUri" | "tls">, cluster: Called | undefined): Flow {
    const principal = info.peer?.uris[0];
    const isMutual = info.tls && info.peer !== undefined;
    return new Flow(this.#registry, {
      reporter: "destination",
      ...workloadLabels("source", workloadOfPrincipal(principal), principal),
      ...workloadLabels("destination", this.#self, isMutual ? info.localUri : undefined),
      ...serviceLabels(cluster),
      connection_security_policy: isMutual ? "mutual_tls" : "none",
    });
  }
}

interface TcpCounters {
  readonly sent: Counter;
  readonly received: Counter;
  readonly opened: Counter;
  readonly closed: Counter;
}

interface RequestCounters {
  readonly requests: Counter;
  readonly duration: Histogram;
  readonly requestBytes: Histogram;
  readonly responseBytes: Histogram;
}

/** All that is counted under one set of parties. */
class Flow {
  /** The endpoint's own text of whom it is. */
  readonly about: string;
  readonly #registry: Registry;
  readonly #labels: Labels;
  readonly #byCode = new Map<number | string, RequestCounters>();
  #tcp: TcpCounters | undefined;

  constructor(registry: Registry, labels: Labels, about = "") {
    this.about = about;
    this.#registry = registry;
    this.#labels = labels;
  }

  request(stream: HttpStream): void {
    const code = stream.response?.status ?? 0;
    const key = stream.flags.length === 0 ? code : `${code} ${stream.flags.join(",")}`;
    let counters = this.#byCode.get(key);
    if (counters === undefined) {
      counters = this.#requestCounters(code, this.#byCode.size < ISTIO_CODES_MAX ? stream.flags : []);
      if (this.#byCode.size < ISTIO_CODES_MAX) this.#byCode.set(key, counters);
    }
    counters.requests.value += 1;
    counters.duration.observe(stream.nowMs() - stream.startMs);
    counters.requestBytes.observe(stream.bytesReceived);
    counters.responseBytes.observe(stream.bytesSent);
  }

  tcp(): TcpCounters {
    this.#tcp ??= {
      sent: this.#counter("istio_tcp_sent_bytes_total", TCP_LABELS),
      received: this.#counter("istio_tcp_received_bytes_total", TCP_LABELS),
      opened: this.#counter("istio_tcp_connections_opened_total", TCP_LABELS),
      closed: this.#counter("istio_tcp_connections_closed_total", TCP_LABELS),
    };
    return this.#tcp;
  }

  #requestCounters(code: number, flags: readonly string[]): RequestCounters {
    const own = {
      request_protocol: "http",
      response_code: String(code),
      response_flags: flags.length === 0 ? "-" : flags.join(","),
      grpc_response_status: "",
    };
    return {
      requests: this.#counter("istio_requests_total", own),
      duration: this.#histogram("istio_request_duration_milliseconds", own),
      requestBytes: this.#histogram("istio_request_bytes", own, ISTIO_BYTES),
      responseBytes: this.#histogram("istio_response_bytes", own, ISTIO_BYTES),
    };
  }

  #counter(name: string, own: Labels): Counter {
    return this.#scope(name, own).counter("");
  }

  #histogram(name: string, own: Labels, bounds?: readonly number[]): Histogram {
    return this.#scope(name, own).histogram("", undefined, bounds);
  }

  /** A dotted name tells the labels too, so that it is one series. */
  #scope(name: string, own: Labels) {
    const labels = { ...this.#labels, ...own };
    const text = Object.entries(labels).map(([key, value]) => `${key}.=.${value}`);
    return this.#registry.scope({ statPrefix: `istiocustom.${name}.${text.join(";.;")}`, namePrefix: name, labels });
  }
}

const TCP_LABELS = { request_protocol: "tcp", response_flags: "-" };

/** A cluster that stands for no service (what is passed through, what leads nowhere) is told by its own name. */
function serviceLabels(called: Called | undefined, cluster = called?.name ?? ""): Labels {
  const service = called?.service;
  const otherwise = cluster === "" ? UNKNOWN : cluster;
  return {
    destination_service: service?.host || otherwise,
    destination_service_name: service?.name || otherwise,
    destination_service_namespace: service?.namespace || UNKNOWN,
  };
}
