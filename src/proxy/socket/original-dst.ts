// Where a redirected connection was going before the firewall turned it here: getsockopt(SO_ORIGINAL_DST).
// koffi is loaded when the first such connection comes: a proxy that intercepts nothing never pays for it.

import { createRequire } from "node:module";
import type { Socket } from "node:net";
import { fileDescriptor } from "./runtime.ts";

export interface Destination {
  readonly host: string;
  readonly port: number;
}

type GetSockOpt = (...args: [fd: number, level: number, option: number, value: Buffer, length: Uint32Array]) => number;

const SOL_IP = 0;
const SOL_IPV6 = 41;
const SO_ORIGINAL_DST = 80;

let getsockopt: GetSockOpt | undefined;

/** Undefined where the connection was not redirected, or the system can't say. */
export function originalDestination(socket: Socket): Destination | undefined {
  if (process.platform !== "linux") return undefined;
  const fd = fileDescriptor(socket);
  if (fd === undefined) return undefined;
  getsockopt ??= load();
  const address = Buffer.alloc(28);
  const length = new Uint32Array([16]);
  if (getsockopt(fd, SOL_IP, SO_ORIGINAL_DST, address, length) === 0) {
    return { host: `${address[4]}.${address[5]}.${address[6]}.${address[7]}`, port: address.readUInt16BE(2) };
  }
  length[0] = 28;
  if (getsockopt(fd, SOL_IPV6, SO_ORIGINAL_DST, address, length) === 0) {
    const groups: string[] = [];
    for (let at = 8; at < 24; at += 2) groups.push(address.readUInt16BE(at).toString(16));
    return { host: groups.join(":"), port: address.readUInt16BE(2) };
  }
  return undefined;
}

function load(): GetSockOpt {
  const koffi = createRequire(import.meta.url)("koffi");
  return koffi.load(null).func("int getsockopt(int fd, int level, int name, void *value, _Inout_ uint32_t *length)");
}
