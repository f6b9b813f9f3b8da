// The runtime's own object below a socket, for what the public interface makes dear: a read into a buffer that is used
// again, a write that needs no request object. Each use asks first whether the runtime offers it; where it doesn't, the
// socket's public methods do the same work.

import { Socket } from "node:net";

export interface StreamHandle {
  /** From now on bytes are read into this buffer rather than a new one each time. */
  useUserBuffer(buffer: Uint8Array): void;
  /** 0: written; negative: failed; an object: under way, and it will be told by `oncomplete`. */
  writeLatin1String(request: null, text: string): unknown;
  writeBuffer(request: null, bytes: Uint8Array): unknown;
  writev(request: null, buffers: readonly Uint8Array[], allBuffers: true): unknown;
}

/** Names of the fields in which a socket keeps its read buffer and who gets it. */
export interface ReadFields {
  readonly buffer: symbol;
  readonly callback: symbol;
  readonly next: symbol;
}

export function handleOf(socket: Socket): StreamHandle | undefined {
  const handle: unknown = Reflect.get(socket, "_handle");
  return isStreamHandle(handle) ? handle : undefined;
}

/** Undefined where sockets are made differently. */
export const READ_FIELDS: ReadFields | undefined = findReadFields();

/** From this version on a write that ends at once needs no request object. */
const NODE_MAJOR_WITHOUT_REQUEST = 26;

export const WRITES_DIRECTLY =
  process.versions["bun"] === undefined &&
  Number.parseInt(process.versions.node.split(".")[0] ?? "0", 10) >= NODE_MAJOR_WITHOUT_REQUEST;

function findReadFields(): ReadFields | undefined {
  const found = new Map(Object.getOwnPropertySymbols(new Socket()).map((symbol) => [symbol.description, symbol]));
  const buffer = found.get("kBuffer");
  const callback = found.get("kBufferCb");
  const next = found.get("kBufferGen");
  return buffer === undefined || callback === undefined || next === undefined ? undefined : { buffer, callback, next };
}

function isStreamHandle(value: unknown): value is StreamHandle {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof Reflect.get(value, "useUserBuffer") === "function" &&
    typeof Reflect.get(value, "writeLatin1String") === "function" &&
    typeof Reflect.get(value, "writeBuffer") === "function" &&
    typeof Reflect.get(value, "writev") === "function"
  );
}
