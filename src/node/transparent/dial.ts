// A connection that begins inside another network namespace: the socket is made there and used from here.

import { closeSync, openSync } from "node:fs";
import { Socket } from "node:net";

const CLONE_NEWNET = 0x40000000;
const AF_INET = 2;
/** SOCK_STREAM, SOCK_CLOEXEC. */
const SOCKET_TYPE = 0o2000001;
const SOL_SOCKET = 1;
const SO_SNDTIMEO = 21;
const ECONNREFUSED = 111;
/** A loopback connection is there at once or not at all, unless the other side's queue is full. */
const CONNECT_TIMEOUT_MS = 200;

/** Rejects with the reason, ECONNREFUSED among them. `path` is the namespace's file. */
export async function dialInNamespace(
  path: string,
  address: { readonly ip: string; readonly port: number },
): Promise<Socket> {
  const { default: koffi } = await import("koffi");
  const libc = koffi.load(null);
  const enter = libc.func("int setns(int fd, int kind)");
  const makeSocket = libc.func("int socket(int domain, int type, int protocol)");
  const setOption = libc.func("int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t length)");
  const connect = libc.func("int connect(int fd, const uint8_t *address, uint32_t length)");
  const own = openSync("/proc/thread-self/ns/net", "r");
  const target = openSync(path, "r");
  let descriptor: number;
  try {
    // Nothing may come between: whatever this thread opened meanwhile would be in the pod too.
    if (enter(target, CLONE_NEWNET) !== 0)
      throw new Error(`the pod's network can't be entered (errno ${koffi.errno()})`);
    descriptor = makeSocket(AF_INET, SOCKET_TYPE, 0);
    if (enter(own, CLONE_NEWNET) !== 0) throw new Error(`the pod's network can't be left (errno ${koffi.errno()})`);
  } finally {
    closeSync(own);
    closeSync(target);
  }
  if (descriptor < 0) throw new Error(`no socket in the pod's network (errno ${koffi.errno()})`);
  setOption(descriptor, SOL_SOCKET, SO_SNDTIMEO, timeval(CONNECT_TIMEOUT_MS), 16);
  if (connect(descriptor, socketAddress(address), 16) !== 0) {
    const code = koffi.errno();
    closeSync(descriptor);
    const why = code === ECONNREFUSED ? "connection refused" : `errno ${code}`;
    throw new Error(`dial tcp4 ${address.ip}:${address.port}: ${why}`);
  }
  return new Socket({ fd: descriptor, readable: true, writable: true });
}

function timeval(ms: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeBigInt64LE(BigInt(Math.floor(ms / 1000)), 0);
  bytes.writeBigInt64LE(BigInt((ms % 1000) * 1000), 8);
  return bytes;
}

function socketAddress({ ip, port }: { readonly ip: string; readonly port: number }): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  for (const [index, part] of ip.split(".").entries()) bytes.writeUInt8(Number(part), 4 + index);
  return bytes;
}
