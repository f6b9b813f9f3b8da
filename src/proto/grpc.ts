// gRPC methods from generated messages: the little that lies between ts-proto's codecs and grpc-js.

import type { MethodDefinition } from "@grpc/grpc-js";

export interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(input: Uint8Array): T;
}

export interface MethodShape<Q, S> {
  /** `/istio.v1.auth.IstioCertificateService/CreateCertificate`. */
  readonly path: string;
  readonly kind: "unary" | "bidi" | "client-stream";
  readonly request: Codec<Q>;
  readonly response: Codec<S>;
}

/** A method as grpc-js wants it, for servers (`addService`) and clients (`makeUnaryRequest`, `makeBidiStreamRequest`) alike. */
export function method<Q, S>(shape: MethodShape<Q, S>): MethodDefinition<Q, S> {
  return {
    path: shape.path,
    requestStream: shape.kind !== "unary",
    responseStream: shape.kind === "bidi",
    requestSerialize: (message) => toBuffer(shape.request.encode(message).finish()),
    requestDeserialize: (bytes) => shape.request.decode(bytes),
    responseSerialize: (message) => toBuffer(shape.response.encode(message).finish()),
    responseDeserialize: (bytes) => shape.response.decode(bytes),
  };
}

/** A view of the same bytes, not a copy. */
export function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
