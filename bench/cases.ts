// What is compared. Each case is one bootstrap in protobuf JSON that weft and Envoy both read, and the load put on it.

import { MONITOR, SHEDDING } from "../src/agent/overload.ts";
import { type CaseOptions, hop, idleClusters, inboundTls, outboundTls, tracesCluster } from "./bootstrap.ts";
import { pairFloor, plainFloor } from "./nginx.ts";

export type Work =
  | { readonly kind: "saturate"; readonly path: string; readonly connections: number }
  | { readonly kind: "rates"; readonly rates: readonly Rate[]; readonly connections: number }
  | { readonly kind: "handshakes"; readonly resume: boolean }
  | { readonly kind: "bulk"; readonly connections: number }
  | { readonly kind: "held"; readonly connections: number };

export type Rate = 500 | 1000 | 5000;

export interface BenchCase {
  readonly name: string;
  /** Part of the quick form. */
  readonly quick: boolean;
  readonly work: Work;
  bootstrap(options: CaseOptions): object;
  /** nginx set up to do the same, as far as it can: the floor. */
  floor?(options: CaseOptions): string;
}

const SMALL = "/api/1k";
const saturate = (path = SMALL, connections = 32): Work => ({ kind: "saturate", path, connections });

const plain = (options: CaseOptions) =>
  bootstrapOf(options, [hop({ name: "front", port: options.frontPort, upstreamPort: options.originPort })]);

export function benchCases(): readonly BenchCase[] {
  return [
    { name: "plain", quick: true, work: saturate(), bootstrap: plain, floor: plainFloor },
    { name: "plain-64k", quick: true, work: saturate("/api/64k"), bootstrap: plain, floor: plainFloor },
    { name: "plain-1m", quick: false, work: saturate("/api/1m"), bootstrap: plain, floor: plainFloor },
    { name: "plain-1-connection", quick: false, work: saturate(SMALL, 1), bootstrap: plain, floor: plainFloor },
    { name: "plain-1000-connections", quick: false, work: saturate(SMALL, 1000), bootstrap: plain, floor: plainFloor },
    { name: "pair", quick: false, work: saturate(), bootstrap: (o) => pair(o, {}), floor: pairFloor },
    { name: "pair-64k", quick: false, work: saturate("/api/64k"), bootstrap: (o) => pair(o, {}), floor: pairFloor },
    { name: "pair-1m", quick: false, work: saturate("/api/1m"), bootstrap: (o) => pair(o, {}), floor: pairFloor },
    { name: "pair-policies", quick: true, work: saturate(), bootstrap: (o) => pair(o, { mesh: true }) },
    {
      name: "pair-policies-traced",
      quick: true,
      work: saturate(),
      bootstrap: (o) => pair(o, { mesh: true, traced: true }),
    },
    {
      name: "pair-policies-rates",
      quick: true,
      work: { kind: "rates", rates: [500, 1000, 5000], connections: 32 },
      bootstrap: (o) => pair(o, { mesh: true }),
    },
    ...connectionCases(),
    ...tableCases(),
    ...heldCases(),
  ];
}

function connectionCases(): readonly BenchCase[] {
  const connections = [1, 1000].map(
    (count): BenchCase => ({
      name: count === 1 ? "pair-1-connection" : `pair-${count}-connections`,
      quick: false,
      work: saturate(SMALL, count),
      bootstrap: (options) => pair(options, { mesh: true }),
    }),
  );
  const handshakes = [false, true].map(
    (resume): BenchCase => ({
      name: resume ? "handshake-resumed" : "handshake-full",
      quick: true,
      work: { kind: "handshakes", resume },
      bootstrap: inbound,
    }),
  );
  return [
    ...connections,
    ...handshakes,
    {
      name: "bulk-clear",
      quick: true,
      work: { kind: "bulk", connections: 4 },
      bootstrap: (options) =>
        bootstrapOf(options, [
          hop({ name: "front", port: options.frontPort, upstreamPort: options.originPort, tcp: true }),
        ]),
    },
    {
      name: "bulk-mtls",
      quick: true,
      work: { kind: "bulk", connections: 4 },
      bootstrap: (options) => pair(options, { tcp: true }),
    },
  ];
}

function tableCases(): readonly BenchCase[] {
  const routes = [10, 1000].map(
    (count): BenchCase => ({
      name: `routes-${count}`,
      quick: true,
      // The last but one in the list: every other one is in front of it.
      work: saturate(`/service-${count - 1}/1k`),
      bootstrap: (options) =>
        bootstrapOf(options, [
          hop({ name: "front", port: options.frontPort, upstreamPort: options.originPort, routes: count }),
        ]),
    }),
  );
  return [
    ...routes,
    {
      name: "clusters-1000",
      quick: false,
      work: saturate(),
      bootstrap: (options) =>
        bootstrapOf(
          options,
          [hop({ name: "front", port: options.frontPort, upstreamPort: options.originPort })],
          idleClusters(1000, options.originPort),
        ),
    },
  ];
}

function heldCases(): readonly BenchCase[] {
  return [
    {
      // The DestinationRule of the post that the walk follows: two requests, then another connection.
      name: "pair-two-requests-a-connection",
      quick: false,
      work: saturate(),
      bootstrap: (options) => pair(options, { mesh: true, maxRequestsPerConnection: 2 }),
    },
    {
      // Its proxy resources: 200m CPU and 100Mi.
      name: "pair-held-32-connections",
      quick: false,
      work: { kind: "held", connections: 32 },
      bootstrap: (options) => ({ ...pair(options, { mesh: true, bounded: true }), ...shedding() }),
    },
    {
      name: "pair-held-2000-connections",
      quick: false,
      work: { kind: "held", connections: 2000 },
      bootstrap: (options) => ({ ...pair(options, { mesh: true, bounded: true }), ...shedding() }),
    },
  ];
}

/** As a sidecar of weft sheds load. */
function shedding(): object {
  const monitor = {
    "@type": "type.googleapis.com/envoy.extensions.resource_monitors.cgroup_memory.v3.CgroupMemoryConfig",
  };
  return {
    overloadManager: {
      refreshInterval: "0.25s",
      resourceMonitors: [{ name: MONITOR, typedConfig: monitor }],
      actions: SHEDDING.map(({ name, from, to }) => ({
        name,
        triggers: [{ name: MONITOR, scaled: { scalingThreshold: from, saturationThreshold: to } }],
      })),
    },
  };
}

interface PairOptions {
  /** With what a mesh puts on both sides: fault, CORS, ten policies, retries, outlier detection, circuit breakers. */
  readonly mesh?: boolean;
  readonly tcp?: boolean;
  readonly maxRequestsPerConnection?: number;
  /** Envoy's default circuit breakers. */
  readonly bounded?: boolean;
  /** One request in a hundred, on both sides. */
  readonly traced?: boolean;
}

/** Two hops in one process: plain to the first, mTLS between them, plain to the origin. */
function pair(options: CaseOptions, { mesh, ...rest }: PairOptions): object {
  return bootstrapOf(
    options,
    [
      hop({
        name: "front",
        port: options.frontPort,
        upstreamPort: options.middlePort,
        upstreamTls: outboundTls(options.certificates),
        ...(mesh === true ? { filters: "client" } : {}),
        ...rest,
      }),
      hop({
        name: "middle",
        port: options.middlePort,
        upstreamPort: options.originPort,
        listenTls: inboundTls(options.certificates),
        ...(mesh === true ? { filters: "server" } : {}),
        ...rest,
      }),
    ],
    rest.traced === true ? [tracesCluster(options.originPort)] : [],
  );
}

/** The called side alone, so that a client can make its handshakes. */
function inbound(options: CaseOptions): object {
  return bootstrapOf(options, [
    hop({
      name: "front",
      port: options.frontPort,
      upstreamPort: options.originPort,
      listenTls: inboundTls(options.certificates),
      filters: "server",
    }),
  ]);
}

function bootstrapOf(options: CaseOptions, hops: readonly ReturnType<typeof hop>[], more: readonly object[] = []) {
  return {
    admin: { address: { socketAddress: { address: "127.0.0.1", portValue: options.adminPort } } },
    staticResources: {
      listeners: hops.map((one) => one.listener),
      clusters: [...hops.map((one) => one.cluster), ...more],
    },
  };
}
