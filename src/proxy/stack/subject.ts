// A request in the eyes of RBAC.

import type { HeaderSource } from "../compile/matcher.ts";
import type { Subject } from "../compile/rbac.ts";
import type { ConnectionInfo } from "./connection-info.ts";
import type { HttpStream } from "./http-stream.ts";

export class StreamSubject implements Subject {
  readonly headers: HeaderSource;
  readonly path: string;
  readonly principals: readonly string[];
  readonly authenticated: boolean;
  readonly directRemoteIp: string;
  readonly remoteIp: string;
  readonly destinationIp: string;
  readonly destinationPort: number;
  readonly serverName: string;

  constructor(stream: HttpStream) {
    const { info } = stream.connection;
    this.headers = stream.head;
    this.path = stream.head.path.split("?", 1)[0] ?? "";
    this.principals = info.principals;
    this.authenticated = info.peer !== undefined;
    this.directRemoteIp = info.remoteIp;
    this.remoteIp = stream.remoteIp;
    this.destinationIp = info.localIp;
    this.destinationPort = info.localPort;
    this.serverName = info.serverName;
  }

  metadata(filter: string): unknown {
    // No filter of this proxy writes dynamic metadata yet; JWT will.
    return filter === "" ? undefined : undefined;
  }
}

export function connectionSubject(info: ConnectionInfo): Subject {
  return {
    headers: undefined,
    path: "",
    principals: info.principals,
    authenticated: info.peer !== undefined,
    directRemoteIp: info.remoteIp,
    remoteIp: info.remoteIp,
    destinationIp: info.localIp,
    destinationPort: info.localPort,
    serverName: info.serverName,
    metadata: () => undefined,
  };
}
