// What an authorizer decided, whichever way it was asked.

import type { HeaderPair } from "../compile/ext-authz.ts";
import type { Struct } from "./filter.ts";

export interface HeaderEdit extends HeaderPair {
  /** `add`: another line; `append`: behind what is there already, if anything is. */
  readonly how: "set" | "add" | "append" | "add-if-absent" | "set-if-exists";
}

export interface Granted {
  readonly kind: "granted";
  readonly headers: readonly HeaderEdit[];
  readonly headersToRemove: readonly string[];
  readonly responseHeaders: readonly HeaderEdit[];
  readonly queryToSet: readonly HeaderPair[];
  readonly queryToRemove: readonly string[];
  readonly metadata: Struct | undefined;
}

export type AuthzAnswer =
  | Granted
  | {
      readonly kind: "denied";
      readonly status: number;
      readonly headers: readonly HeaderPair[];
      readonly body: string;
      readonly metadata: Struct | undefined;
    }
  /** No decision; in words for the cause. */
  | { readonly kind: "error"; readonly reason: string };

const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Nothing that an authorizer says may break a message's framing or its route. */
export function isSafe({ name, value }: HeaderPair): boolean {
  return NAME.test(name) && !/[^\t\x20-\x7e\x80-\xff]/.test(value);
}

/** Headers that frame a message or belong to one hop: an authorizer has no say in them. */
export function isFraming(name: string): boolean {
  return FRAMING.has(name) || name.startsWith(":");
}

const FRAMING = new Set(["content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "host", "te"]);
