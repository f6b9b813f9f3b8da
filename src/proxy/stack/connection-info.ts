// What is known of a downstream connection, gathered once when it is accepted.

import type { Socket } from "node:net";
import { plainIp } from "../compile/value.ts";
import type { Peer } from "../socket/identity.ts";
import type { Destination } from "../upstream/original-dst.ts";

export interface ConnectionInfo {
  /** Counts up from 1 in this process. */
  readonly id: number;
  readonly filterChainName: string;
  readonly remoteIp: string;
  readonly remoteAddress: string;
  /** Where the client meant to go: the original destination where the connection was redirected. */
  readonly localIp: string;
  readonly localPort: number;
  readonly localAddress: string;
  readonly originalDst: Destination | undefined;
  readonly serverName: string;
  readonly tls: boolean;
  readonly tlsVersion: string | undefined;
  readonly peer: Peer | undefined;
  /** The client showed a certificate, checked or not. */
  readonly certificatePresented: boolean;
  /** SPIFFE URI of the certificate that this side presented. */
  readonly localUri: string | undefined;
  /** What RBAC takes as the authenticated names. */
  readonly principals: readonly string[];
}

let connections = 0;

export function connectionInfo(
  socket: Socket,
  known: {
    readonly originalDst: Destination | undefined;
    readonly serverName: string;
    readonly tlsVersion: string | undefined;
    readonly peer: Peer | undefined;
    readonly certificatePresented: boolean;
    readonly localUri: string | undefined;
    readonly filterChainName: string;
  },
): ConnectionInfo {
  connections += 1;
  const remoteIp = plainIp(socket.remoteAddress ?? "");
  const localIp = known.originalDst?.host ?? plainIp(socket.localAddress ?? "");
  const localPort = known.originalDst?.port ?? socket.localPort ?? 0;
  return {
    ...known,
    id: connections,
    remoteIp,
    remoteAddress: withPort(remoteIp, socket.remotePort ?? 0),
    localIp,
    localPort,
    localAddress: withPort(localIp, localPort),
    tls: known.tlsVersion !== undefined,
    principals: principalsOf(known.peer),
  };
}

function principalsOf(peer: Peer | undefined): readonly string[] {
  if (peer === undefined) return [];
  if (peer.uris.length > 0) return peer.uris;
  return peer.dnsNames.length > 0 ? peer.dnsNames : [peer.subject];
}

function withPort(ip: string, port: number): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}
