// A request is over: everybody who counts, tells or remembers it gets to know.

import type { HttpStream } from "./http-stream.ts";

export function conclude(stream: HttpStream): void {
  const { runtime } = stream.connection;
  const { config, core, stats } = runtime;
  const nowMs = stream.nowMs();
  stats.rqActive.value -= 1;
  if (stream.response !== undefined) stats.response(stream.response.status);
  stats.rqTime.observe(nowMs - stream.startMs);
  runtime.istio?.onRequest(stream);
  stream.span?.end();
  if (config.accessLogs.length > 0) core.logs.write(config.accessLogs, stream.record({ logType: "DownstreamEnd" }));
  core.recent.addStream(stream, nowMs);
}
