// What can go wrong behind or before the proxy, and what is seen of it: the answer, the access log, the counters.

import type { Socket } from "node:net";

type Json = Readonly<Record<string, unknown>>;

export interface Fault {
  readonly name: string;
  /** What the origin does with each connection; undefined: nobody listens. */
  readonly origin: ((socket: Socket) => void) | undefined;
  /** Sent raw; the client then waits for the end. */
  readonly send?: string;
  /** What the client does instead of waiting. */
  readonly client?: (socket: Socket) => void;
  readonly route?: Json;
  readonly cluster?: Json;
  /** The beginning of what the client reads; null: nothing. */
  readonly answer: RegExp | null;
  /** `CODE FLAGS DETAILS` of the access log. */
  readonly log: string;
  /** Counters of the cluster. */
  readonly counts?: Readonly<Record<string, number>>;
}

export const FAULT_GET = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const POST = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nabcde";
const UC = "upstream_reset_before_response_started{connection_termination}";

/** Reads the first bytes, then acts. */
function onRequest(act: (socket: Socket) => void): (socket: Socket) => void {
  return (socket) => socket.once("data", () => act(socket));
}

function says(text: string, then: "end" | "reset" | "wait" = "wait"): (socket: Socket) => void {
  return onRequest((socket) => {
    socket.write(text, "latin1", () => {
      if (then === "end") socket.end();
      else if (then === "reset") setTimeout(() => socket.resetAndDestroy(), 20);
    });
  });
}

export const faults: readonly Fault[] = [
  {
    name: "nobody listens",
    origin: undefined,
    answer: /^HTTP\/1\.1 503 .*reset reason: remote connection failure/s,
    log: "503 UF upstream_reset_before_response_started{remote_connection_failure|",
    counts: { upstream_cx_connect_fail: 1, upstream_rq_pending_failure_eject: 1 },
  },
  {
    name: "the origin resets when it is connected",
    origin: (socket) => setTimeout(() => socket.resetAndDestroy(), 20),
    send: POST,
    answer: /^HTTP\/1\.1 503 .*reset reason: connection termination/s,
    log: `503 UC ${UC}`,
    counts: { upstream_cx_destroy_with_active_rq: 1 },
  },
  {
    name: "the origin resets when it has the request",
    origin: onRequest((socket) => socket.resetAndDestroy()),
    answer: /^HTTP\/1\.1 503 .*reset reason: connection termination/s,
    log: `503 UC ${UC}`,
    counts: { upstream_rq_rx_reset: 1 },
  },
  {
    name: "the origin ends when it has the request",
    origin: onRequest((socket) => socket.end()),
    answer: /^HTTP\/1\.1 503 .*reset reason: connection termination/s,
    log: `503 UC ${UC}`,
    counts: { upstream_rq_rx_reset: 1 },
  },
  {
    name: "the origin resets within the head",
    origin: says("HTTP/1.1 200 OK\r\nX: ", "reset"),
    answer: /^HTTP\/1\.1 502 /s,
    log: "502 UPE upstream_reset_before_response_started{protocol_error}",
    counts: { upstream_cx_protocol_error: 1 },
  },
  {
    name: "the origin resets within the body",
    origin: says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "reset"),
    answer: /^HTTP\/1\.1 200 .*\r\n\r\nabc$/s,
    log: "200 UC upstream_reset_after_response_started{connection_termination}",
    counts: { upstream_rq_rx_reset: 1, upstream_rq_2xx: 1 },
  },
  {
    name: "a body shorter than its length",
    origin: says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "end"),
    answer: /^HTTP\/1\.1 200 .*\r\n\r\nabc$/s,
    log: "200 UC upstream_reset_after_response_started{connection_termination}",
  },
  {
    name: "a chunk shorter than its size",
    origin: says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", "end"),
    answer: /^HTTP\/1\.1 200 .*\r\n\r\n3\r\nabc\r\n$/s,
    log: "200 UC upstream_reset_after_response_started{connection_termination}",
  },
  {
    name: "the origin never answers",
    origin: onRequest(() => undefined),
    route: { timeout: "0.1s" },
    answer: /^HTTP\/1\.1 504 .*upstream request timeout$/s,
    log: "504 UT response_timeout",
    counts: { upstream_rq_timeout: 1 },
  },
  {
    name: "the origin stops within the body",
    origin: says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
    route: { timeout: "0.1s" },
    answer: /^HTTP\/1\.1 200 .*\r\n\r\nabc$/s,
    log: "200 UT response_timeout",
    counts: { upstream_rq_timeout: 1 },
  },
  {
    name: "the client leaves before the answer",
    origin: onRequest(() => undefined),
    client: (socket) => setTimeout(() => socket.resetAndDestroy(), 30),
    answer: null,
    log: "0 DC downstream_remote_disconnect",
    counts: { upstream_rq_tx_reset: 1, upstream_cx_destroy_local: 1 },
  },
  {
    name: "the client leaves within its body",
    origin: () => undefined,
    send: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
    client: (socket) => setTimeout(() => socket.resetAndDestroy(), 30),
    answer: null,
    log: "0 DC downstream_remote_disconnect",
    counts: { upstream_rq_tx_reset: 1 },
  },
  {
    name: "the client leaves within the answer",
    origin: says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
    client: (socket) => socket.once("data", () => socket.resetAndDestroy()),
    answer: /^HTTP\/1\.1 200 /s,
    log: "200 DC downstream_remote_disconnect",
    counts: { upstream_rq_tx_reset: 1 },
  },
  {
    name: "the client ends its side and waits",
    origin: onRequest((socket) => setTimeout(() => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), 50)),
    send: "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    client: (socket) => socket.end(),
    answer: /^HTTP\/1\.1 200 .*\r\n\r\nok$/s,
    log: "200 - via_upstream",
  },
  {
    name: "a name that is not known",
    origin: undefined,
    cluster: {
      type: "STRICT_DNS",
      loadAssignment: {
        clusterName: "a",
        endpoints: [
          {
            lbEndpoints: [{ endpoint: { address: { socketAddress: { address: "nowhere.invalid", portValue: 80 } } } }],
          },
        ],
      },
    },
    answer: /^HTTP\/1\.1 503 .*no healthy upstream$/s,
    log: "503 UH no_healthy_upstream",
    counts: { upstream_cx_none_healthy: 1 },
  },
  {
    name: "no request is allowed",
    origin: () => undefined,
    cluster: { circuitBreakers: { thresholds: [{ maxRequests: 0 }] } },
    answer: /^HTTP\/1\.1 503 .*\r\nx-envoy-overloaded: true\r\n.*overflow$/s,
    log: "503 UO upstream_reset_before_response_started{overflow}",
    counts: { upstream_rq_pending_overflow: 1 },
  },
];
