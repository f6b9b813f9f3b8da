// Access-log entries on their way to collectors: made at once, since what they tell of is over, and sent in batches.

import type { Clock } from "../../base/clock.ts";
import type { AccessRecord } from "../../observe/access-record.ts";
import { httpEntry, tcpEntry } from "../../observe/als-entry.ts";
import type { Registry } from "../../observe/metrics.ts";
import { encodeOtlpLogs, type LogEntry } from "../../observe/otlp-log.ts";
import type { Node } from "../../proto/gen/envoy/config/core/v3/base.ts";
import type { HTTPAccessLogEntry, TCPAccessLogEntry } from "../../proto/gen/envoy/data/accesslog/v3/accesslog.ts";
import { StreamAccessLogsMessage } from "../../proto/gen/envoy/service/accesslog/v3/als.ts";
import type { AlsSink, LogSink, OtlpSink } from "../compile/log-sink.ts";
import {
  LOG_COLLECTORS_MAX,
  LOG_ENTRIES_REPORTED_MAX,
  LOG_ENTRIES_WAIT_MS,
  LOG_ENTRIES_WAITING_MAX,
  REPORT_ANSWER_BYTES_MAX,
} from "../limits.ts";
import type { Cluster } from "../upstream/cluster.ts";
import { Batches, type BatchStats, type Transport } from "./batches.ts";
import { ClusterCaller } from "./call.ts";

export interface CollectorsAround {
  readonly clock: Clock;
  readonly registry: Registry;
  readonly node: Node | undefined;
  cluster(name: string): Cluster | undefined;
}

/** One way to one collector. */
interface Collector {
  add(record: AccessRecord): void;
  settle(): Promise<void>;
  close(): void;
}

export class LogCollectors {
  readonly #around: CollectorsAround;
  readonly #collectors = new Map<string, Collector>();

  constructor(around: CollectorsAround) {
    this.#around = around;
  }

  add(sink: LogSink, record: AccessRecord): void {
    let collector = this.#collectors.get(sink.key);
    if (collector === undefined) {
      collector = makeCollector(sink, this.#around);
      this.#makeRoom();
      this.#collectors.set(sink.key, collector);
    }
    collector.add(record);
  }

  async settle(): Promise<void> {
    await Promise.all([...this.#collectors.values()].map((collector) => collector.settle()));
  }

  close(): void {
    for (const collector of this.#collectors.values()) collector.close();
    this.#collectors.clear();
  }

  /** The longest known is most likely one that the configuration has no more. */
  #makeRoom(): void {
    if (this.#collectors.size < LOG_COLLECTORS_MAX) return;
    const [oldest] = this.#collectors;
    if (oldest === undefined) return;
    this.#collectors.delete(oldest[0]);
    oldest[1].close();
  }
}

function makeCollector(sink: LogSink, around: CollectorsAround): Collector {
  switch (sink.kind) {
    case "otlp":
      return collectorOf(sink, around, {
        stats: "open_telemetry_access_log",
        path: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        entry: (record) => otlpEntry(sink, record),
        encode: (entries: readonly LogEntry[]) => encodeOtlpLogs(entries, resourceOf(sink, around.node)),
      });
    case "als-http":
      return collectorOf(sink, around, {
        ...ALS,
        entry: (record) => httpEntry(record, sink),
        encode: (logEntry: readonly HTTPAccessLogEntry[]) =>
          streamMessage(sink, around.node, { $case: "httpLogs", value: { logEntry: [...logEntry] } }),
      });
    case "als-tcp":
      return collectorOf(sink, around, {
        ...ALS,
        entry: (record) => tcpEntry(record),
        encode: (logEntry: readonly TCPAccessLogEntry[]) =>
          streamMessage(sink, around.node, { $case: "tcpLogs", value: { logEntry: [...logEntry] } }),
      });
  }
}

const ALS = {
  stats: "grpc_access_log",
  path: "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs",
} as const;

interface Form<T> {
  readonly stats: string;
  readonly path: string;
  readonly entry: (record: AccessRecord) => T;
  readonly encode: (entries: readonly T[]) => Buffer;
}

function collectorOf<T>(sink: LogSink, around: CollectorsAround, form: Form<T>): Collector {
  const caller = new ClusterCaller(around);
  const transport: Transport<T> = {
    send: (entries, done) => {
      if (around.cluster(sink.collector.cluster) === undefined) {
        done({ kind: "nowhere" });
        return;
      }
      const request = {
        ...sink.collector,
        path: form.path,
        message: form.encode(entries),
        responseBytesMax: REPORT_ANSWER_BYTES_MAX,
        mayAnswerNothing: true,
      } as const;
      caller.grpc(request, (result) =>
        done(result.kind === "answer" ? { kind: "sent", items: entries.length } : { kind: "failed" }),
      );
    },
    close: () => undefined,
  };
  const batches = new Batches(transport, {
    clock: around.clock,
    stats: statsOf(around.registry, form.stats),
    bounds: {
      waitingMax: LOG_ENTRIES_WAITING_MAX,
      reportedMax: LOG_ENTRIES_REPORTED_MAX,
      waitMs: sink.waitMs ?? LOG_ENTRIES_WAIT_MS,
    },
  });
  return {
    add: (record) => batches.add(form.entry(record)),
    settle: () => batches.settle(),
    close: () => batches.close(),
  };
}

function otlpEntry({ body, attributes }: OtlpSink, record: AccessRecord): LogEntry {
  return {
    timeMs: record.startTimeMs,
    body: body?.(record) ?? "",
    attributes: attributes.flatMap(([name, value]) => [name, value(record)]),
    traceId: record.traceId ?? "",
  };
}

/** As Envoy: the node's own beside those that are configured, unless they are not wanted. */
function resourceOf({ hasNodeLabels, logName, resourceAttributes }: OtlpSink, node: Node | undefined): string[] {
  const labels = [
    ...["log_name", logName, "zone_name", node?.locality?.zone ?? ""],
    ...["cluster_name", node?.cluster ?? "", "node_name", node?.id ?? ""],
  ];
  return [...(hasNodeLabels ? labels : []), ...resourceAttributes];
}

function streamMessage(
  { logName }: AlsSink,
  node: Node | undefined,
  logEntries: NonNullable<StreamAccessLogsMessage["logEntries"]>,
): Buffer {
  const bytes = StreamAccessLogsMessage.encode({ identifier: { node, logName }, logEntries }).finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function statsOf(registry: Registry, name: string): BatchStats {
  const prefix = `access_logs.${name}.`;
  const scope = registry.scope({ statPrefix: prefix, namePrefix: `envoy_access_logs_${name}_`, labels: {} });
  return {
    sent: scope.counter("logs_written"),
    dropped: scope.counter("logs_dropped"),
    timerFlushed: scope.counter("timer_flushed"),
    reportsSent: scope.counter("reports_sent"),
    reportsFailed: scope.counter("reports_dropped"),
    reportsNowhere: scope.counter("reports_skipped_no_cluster"),
  };
}
