// What is compared. Each case is one bootstrap in protobuf JSON that both proxies read.

import { type HopOptions, hop, inboundTls, outboundTls, type Ports } from "./bootstrap.ts";
import { makeCertificates } from "./certificates.ts";
import type { Figures } from "./measure.ts";

export interface Bar {
  readonly of: "ratio" | "weft";
  readonly field: keyof Figures;
  readonly atMost?: number;
  readonly atLeast?: number;
}

export interface BenchCase {
  readonly name: string;
  readonly quick: boolean;
  readonly path: string;
  readonly connections: number;
  readonly bars: readonly Bar[];
  bootstrap(options: CaseOptions): Promise<object>;
}

export interface CaseOptions extends Ports {
  readonly work: string;
}

export function benchCases(): readonly BenchCase[] {
  return [
    {
      name: "plain",
      quick: true,
      path: "/api/items",
      connections: 32,
      bars: [{ of: "ratio", field: "cpuMicrosPerRequest", atMost: 0.45 }],
      bootstrap: async (options) =>
        bootstrapOf(options, [
          { name: "front", port: options.frontPort, upstreamPort: options.originPort, filters: "router" },
        ]),
    },
    {
      name: "pair-mtls",
      quick: false,
      path: "/api/items",
      connections: 32,
      bars: [{ of: "ratio", field: "cpuMicrosPerRequest", atMost: 0.5 }],
      bootstrap: (options) => pair(options, "router"),
    },
    {
      name: "pair-mtls-policies",
      quick: true,
      path: "/api/items",
      connections: 32,
      bars: [
        { of: "ratio", field: "cpuMicrosPerRequest", atMost: 0.5 },
        { of: "ratio", field: "requestsPerSecond", atLeast: 1.8 },
        { of: "weft", field: "readyMs", atMost: 400 },
        { of: "weft", field: "idlePrivateMb", atMost: 22 },
        { of: "weft", field: "loadedPrivateMb", atMost: 35 },
        { of: "ratio", field: "idleResidentMb", atMost: 1 },
        { of: "ratio", field: "loadedResidentMb", atMost: 1.25 },
      ],
      bootstrap: (options) => pair(options, "policies"),
    },
  ];
}

/** Two hops in one process: plain to the first, mTLS between them, plain to the origin. */
async function pair(options: CaseOptions, filters: HopOptions["filters"]): Promise<object> {
  const certificates = await makeCertificates(options.work);
  return bootstrapOf(options, [
    {
      name: "front",
      port: options.frontPort,
      upstreamPort: options.middlePort,
      upstreamTls: outboundTls(certificates),
      filters: filters === "policies" ? "client" : "router",
    },
    {
      name: "middle",
      port: options.middlePort,
      upstreamPort: options.originPort,
      listenTls: inboundTls(certificates),
      filters,
    },
  ]);
}

function bootstrapOf(ports: Ports, hops: readonly HopOptions[]): object {
  const parts = hops.map((options) => hop(options));
  return {
    admin: { address: { socketAddress: { address: "127.0.0.1", portValue: ports.adminPort } } },
    staticResources: {
      listeners: parts.map((part) => part.listener),
      clusters: parts.map((part) => part.cluster),
    },
  };
}
