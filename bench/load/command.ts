// What the load process is asked to do, and what it answers: numbers only.

import { type Static, Type } from "typebox";

const port = Type.Integer({ minimum: 1, maximum: 65_535 });
const seconds = Type.Number({ exclusiveMinimum: 0, maximum: 600 });
const connections = Type.Integer({ minimum: 1, maximum: 10_000 });

export const LoadCommand = Type.Union([
  /** An open loop: a request is due at its time whether or not the one before was answered. */
  Type.Object({
    kind: Type.Literal("rate"),
    port,
    path: Type.String(),
    seconds,
    connections,
    requestsPerSecond: Type.Number({ exclusiveMinimum: 0 }),
  }),
  /** New TLS connections one after the other, a request on each. */
  Type.Object({
    kind: Type.Literal("handshakes"),
    port,
    path: Type.String(),
    seconds,
    connections,
    resume: Type.Boolean(),
    serverName: Type.String(),
    chainFile: Type.String(),
    keyFile: Type.String(),
  }),
  /** Reads as fast as bytes come from an origin that writes as fast as it can. */
  Type.Object({ kind: Type.Literal("bulk"), port, seconds, connections }),
]);

export type LoadCommand = Static<typeof LoadCommand>;

/** The first message of the process: where its origins are. */
export const LoadReady = Type.Object({ httpPort: port, bulkPort: port });
export type LoadReady = Static<typeof LoadReady>;

export const LoadAnswer = Type.Object({
  /** Requests answered, handshakes made, or bytes read. */
  done: Type.Number(),
  failures: Type.Number(),
  tookSeconds: Type.Number(),
  p50Ms: Type.Number(),
  p99Ms: Type.Number(),
  resumed: Type.Number(),
});
export type LoadAnswer = Static<typeof LoadAnswer>;
