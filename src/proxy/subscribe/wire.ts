// What both variants of the protocol have in common: subscriptions in, verdicts out. No socket here.

import type { MethodDefinition } from "@grpc/grpc-js";
import type { Status } from "../../proto/gen/google/rpc/status.ts";
import { NACK_CHARS_MAX } from "./limits.ts";
import type { ResourceHandler, ResourceKind, ResourceRefusal } from "./source.ts";

export type NamedKind = "endpoint" | "route" | "secret";

/** One variant of the protocol (delta, or state of the world), over any number of streams one after another. */
export interface Wire<Q, S> {
  readonly method: MethodDefinition<Q, S>;
  /** The first requests of a new stream: only what changed since the last one is sent again. */
  open(): readonly Q[];
  /** The request that brings the server to the wanted names; undefined when nothing changed. */
  want(kind: NamedKind, names: ReadonlySet<string>): Q | undefined;
  /** Hands a response to the handler; returns the ACK or the NACK. */
  receive(response: S, handler: ResourceHandler): Q | undefined;
}

const INVALID_ARGUMENT = 3;

/** The verdict as xDS wants it: nothing for an ACK. */
export function errorDetail(refusals: readonly ResourceRefusal[]): Status | undefined {
  if (refusals.length === 0) return undefined;
  const message = refusals.map(describe).join("; ");
  const short = message.length > NACK_CHARS_MAX ? `${message.slice(0, NACK_CHARS_MAX)}…` : message;
  return { code: INVALID_ARGUMENT, message: short, details: [] };
}

function describe(refusal: ResourceRefusal): string {
  const place = refusal.path === "" ? "" : ` ${refusal.path}`;
  const type = refusal.typeUrl.slice(refusal.typeUrl.lastIndexOf("/") + 1);
  return `${refusal.resource}:${place} (${type}): ${refusal.message}`;
}

export function isNamed(kind: ResourceKind): kind is NamedKind {
  return kind === "endpoint" || kind === "route" || kind === "secret";
}
