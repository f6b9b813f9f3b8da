// Envoy's access log over gRPC, which is how Envoy reports to the agent.

import type * as grpc from "@grpc/grpc-js";
import { StreamAccessLogsMessage, StreamAccessLogsResponse } from "../proto/gen/envoy/service/accesslog/v3/als.ts";
import { method } from "../proto/grpc.ts";
import type { Reporter, Reports } from "./reports.ts";

const STREAM = method({
  path: "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs",
  kind: "client-stream",
  request: StreamAccessLogsMessage,
  response: StreamAccessLogsResponse,
});

type Call = grpc.ServerReadableStream<StreamAccessLogsMessage, StreamAccessLogsResponse>;

/** Names that the control plane gives the logs (translate/agent.ts). */
const REPORTERS: Readonly<Record<string, Reporter>> = {
  "weft.dev/source": "source",
  "weft.dev/destination": "destination",
};

export function addAccessLogService(server: grpc.Server, reports: Reports): void {
  const stream = (call: Call, done: grpc.sendUnaryData<StreamAccessLogsResponse>): void => {
    // Said once, by a stream's first message.
    let reporter: Reporter | undefined;
    call.on("data", ({ identifier, logEntries }: StreamAccessLogsMessage) => {
      reporter ??= REPORTERS[identifier?.logName ?? ""];
      if (reporter !== undefined) take(reporter, logEntries, reports);
    });
    call.on("end", () => done(null, {}));
    call.on("error", () => undefined);
  };
  server.addService({ stream: STREAM }, { stream });
}

function take(reporter: Reporter, entries: StreamAccessLogsMessage["logEntries"], reports: Reports): void {
  switch (entries?.$case) {
    case "httpLogs":
      for (const entry of entries.value.logEntry) reports.http(reporter, entry);
      return;
    case "tcpLogs":
      for (const entry of entries.value.logEntry) reports.tcp(reporter, entry);
      return;
    default:
  }
}
