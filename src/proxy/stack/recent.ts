// The requests of the last while, for who asks what became of one: as many of a second as cost nothing, failures apart, so
// that a flood of good ones doesn't push them out. Each is kept as flat text, which holds on to nothing it was read from.

import type { Clock } from "../../base/clock.ts";
import type { AccessRecord } from "../../observe/access-record.ts";
import type { FailedTry, RecentLines, RecentRequest } from "../../observe/recent-request.ts";
import { causeText } from "../compile/value.ts";
import { RECENT_FAILURES_MAX, RECENT_PER_SECOND_MAX, RECENT_REQUESTS_MAX, RECENT_TEXT_CHARS_MAX } from "../limits.ts";
import type { ConnectionInfo } from "./connection-info.ts";
import type { HttpStream } from "./http-stream.ts";

export class RecentLog {
  readonly #clock: Clock;
  readonly #worker: number;
  readonly #good = new Lines(RECENT_REQUESTS_MAX);
  readonly #failed = new Lines(RECENT_FAILURES_MAX);
  #secondMs = Number.NEGATIVE_INFINITY;
  #number = 0;
  #passedOver = 0;

  constructor(clock: Clock, worker: number) {
    this.#clock = clock;
    this.#worker = worker;
  }

  /** At its end. */
  addStream(stream: HttpStream, nowMs: number): void {
    const status = stream.response?.status ?? 0;
    const lines = status === 0 || status >= 400 || stream.flags.length > 0 ? this.#failed : this.#good;
    if (!this.#hasRoom(lines, nowMs)) return;
    this.#add(lines, stream.record(), {
      direction: stream.connection.runtime.direction,
      cause: stream.cause,
      rule: causeText(stream.route?.cause),
      failedTries: stream.forward?.failedTries ?? [],
      cluster: stream.forward?.clusterName || stream.routeCluster,
      source: stream.connection.info.principals[0] ?? "",
      destination: stream.forward?.attempt?.connection?.peer?.uris[0] ?? stream.connection.info.localUri ?? "",
    });
  }

  /** A connection that carried no HTTP, or bytes that were no request. */
  addConnection(about: ConnectionAbout, record: () => AccessRecord): void {
    const lines = about.failed ? this.#failed : this.#good;
    if (!this.#hasRoom(lines, this.#clock.monotonicMs())) return;
    const { info, direction, cause, rule } = about;
    this.#add(lines, record(), {
      direction,
      cause,
      rule,
      failedTries: [],
      cluster: "",
      source: info.principals[0] ?? "",
      destination: info.localUri ?? "",
    });
  }

  lines(): RecentLines {
    return { lines: [...this.#good.all(), ...this.#failed.all()], passedOver: this.#passedOver };
  }

  #hasRoom(lines: Lines, nowMs: number): boolean {
    if (nowMs - this.#secondMs >= 1000) {
      this.#secondMs = nowMs;
      this.#good.left = RECENT_PER_SECOND_MAX;
      this.#failed.left = RECENT_PER_SECOND_MAX;
    }
    if (lines.left > 0) return true;
    this.#passedOver += 1;
    return false;
  }

  #add(lines: Lines, record: AccessRecord, about: RecordAbout): void {
    this.#number += 1;
    lines.add(JSON.stringify(requestOf(record, about, `${this.#worker}-${this.#number}`, this.#clock.wallMs())));
  }
}

interface ConnectionAbout {
  readonly failed: boolean;
  readonly info: ConnectionInfo;
  readonly direction: RecentRequest["direction"];
  readonly cause: string;
  readonly rule: string;
}

interface RecordAbout {
  readonly direction: RecentRequest["direction"];
  readonly cause: string;
  readonly rule: string;
  readonly failedTries: readonly FailedTry[];
  /** Where it would have gone, if it went nowhere. */
  readonly cluster: string;
  /** Identities. */
  readonly source: string;
  readonly destination: string;
}

function requestOf(record: AccessRecord, about: RecordAbout, key: string, endTimeMs: number): RecentRequest {
  const { requestHeaders } = record;
  const header = (name: string): string => short(requestHeaders?.get(name));
  const durationMs = record.durationMs ?? 0;
  return {
    key,
    startTimeMs: Math.round(endTimeMs - durationMs),
    endTimeMs: Math.round(endTimeMs),
    durationMs: Math.round(durationMs * 1000) / 1000,
    direction: about.direction,
    requestId: header("x-request-id"),
    traceId: record.traceId ?? "",
    protocol: record.protocol ?? "TCP",
    method: header(":method"),
    authority: header(":authority"),
    path: header("x-envoy-original-path") || header(":path"),
    code: record.responseCode,
    flags: record.responseFlags,
    details: short(record.responseCodeDetails),
    cause: short(about.cause),
    rule: about.rule,
    route: record.routeName ?? "",
    cluster: record.upstreamCluster ?? about.cluster,
    tries: record.attemptCount ?? 0,
    failedTries: about.failedTries,
    transportFailure: short(record.upstreamTransportFailureReason),
    bytesReceived: record.bytesReceived,
    bytesSent: record.bytesSent,
    source: { identity: about.source, address: record.downstreamRemoteAddress ?? "" },
    destination: { identity: about.destination, address: record.downstreamLocalAddress ?? "" },
    upstreamHost: record.upstreamHost ?? "",
  };
}

function short(text: string | undefined): string {
  return (text ?? "").slice(0, RECENT_TEXT_CHARS_MAX);
}

/** The last so many, oldest first. */
class Lines {
  /** Of this second. */
  left = 0;
  readonly #max: number;
  readonly #lines: string[] = [];
  #next = 0;

  constructor(max: number) {
    this.#max = max;
  }

  add(line: string): void {
    this.left -= 1;
    this.#lines[this.#next] = line;
    this.#next = (this.#next + 1) % this.#max;
  }

  all(): readonly string[] {
    return [...this.#lines.slice(this.#next), ...this.#lines.slice(0, this.#next)];
  }
}
