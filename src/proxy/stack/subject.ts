// A request in the eyes of RBAC.

import type { HeaderSource } from "../compile/matcher.ts";
import type { PolicyMatch, RbacRules, Subject } from "../compile/rbac.ts";
import type { ConnectionInfo } from "./connection-info.ts";
import type { HttpStream } from "./http-stream.ts";

export class StreamSubject implements Subject {
  readonly headers: HeaderSource;
  readonly #stream: HttpStream;
  readonly principals: readonly string[];
  readonly authenticated: boolean;
  readonly directRemoteIp: string;
  readonly remoteIp: string;
  readonly destinationIp: string;
  readonly destinationPort: number;
  readonly serverName: string;

  constructor(stream: HttpStream) {
    const { info } = stream.connection;
    this.#stream = stream;
    this.headers = stream.head;
    this.principals = info.principals;
    this.authenticated = info.peer !== undefined;
    this.directRemoteIp = info.remoteIp;
    this.remoteIp = stream.remoteIp;
    this.destinationIp = info.localIp;
    this.destinationPort = info.localPort;
    this.serverName = info.serverName;
  }

  /** As it is now: a filter between two looks may have changed it. */
  get path(): string {
    const { path } = this.#stream.head;
    const question = path.indexOf("?");
    return question === -1 ? path : path.slice(0, question);
  }

  metadata(namespace: string): unknown {
    return this.#stream.dynamicMetadata(namespace);
  }

  narrowed(rules: RbacRules): PolicyMatch {
    return this.#stream.connection.narrowed.get(rules, this);
  }

  routeMetadata(namespace: string): unknown {
    return this.#stream.route?.metadata?.filterMetadata[namespace];
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
    narrowed: (rules) => rules.match,
    routeMetadata: () => undefined,
  };
}
