// What the connection manager does to a request before a route is looked for: names, address, headers, path. Or why it is refused.

import { applyMutations } from "../compile/mutation.ts";
import { detectAddress } from "./detect-address.ts";
import type { HttpStream } from "./http-stream.ts";
import { normalizePath } from "./path.ts";
import { oddName, prepareRequest, stripPort } from "./request-headers.ts";
import { badRequest, type LocalReply, noAddress, noPath, overloaded } from "./rescue.ts";

export function prepareStream(stream: HttpStream): LocalReply | undefined {
  const { head, connection } = stream;
  const { info } = connection;
  const { config, core, stats } = connection.runtime;
  if (core.overload.refusesRequest) {
    stats.rqOverloadClose.inc();
    return overloaded();
  }
  const odd = config.underscores === "allow" ? undefined : oddName(head.headers, config.underscores);
  if (odd !== undefined) {
    const refusal = badRequest(400, `a header name with an underscore: ${odd}`);
    return { ...refusal, details: "http1.unexpected_underscore" };
  }
  if (config.earlyMutations.length > 0)
    applyMutations(config.earlyMutations, head.headers, head, () => stream.record());
  const found = config.ipDetectors.length === 0 ? undefined : detectAddress(head, config.ipDetectors, info);
  if (found?.kind === "reject") return noAddress(found.status);
  stream.remoteIp = prepareRequest(head, config, info, found);
  const noUrl = head.absoluteForm && !config.allowAbsoluteUrl;
  if (noUrl || (head.path.charCodeAt(0) !== 47 && head.method !== "CONNECT"))
    return noPath(`${head.path} is not a path`);
  const path = normalizePath(head.path, config);
  if (path.kind !== "path") return unnormal(path);
  head.path = path.path;
  if (config.stripPort !== "none") stripPort(head, config.stripPort, info.localPort);
  return undefined;
}

function unnormal(path: Exclude<ReturnType<typeof normalizePath>, { kind: "path" }>): LocalReply {
  const details = "path_normalization_failed";
  if (path.kind === "refuse") return { ...badRequest(400, path.message), flag: "", details, body: "", headers: [] };
  const cause = "a path is asked for by its normal form";
  return { status: 307, body: "", flag: "", details, headers: ["location", path.path], cause };
}
