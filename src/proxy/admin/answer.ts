// What an admin endpoint is: a path, what it does in words, and a function from a query to an answer.

import type { AdminView } from "./view.ts";

export interface Answer {
  readonly code: number;
  readonly type: string;
  readonly body: string;
}

export interface Query {
  get(name: string): string | undefined;
  has(name: string): boolean;
  entries(): IterableIterator<[string, string]>;
}

export interface AdminContext {
  readonly view: AdminView;
  readonly wallMs: () => number;
}

export interface Endpoint {
  readonly path: string;
  readonly help: string;
  /** Changes something: POST only. */
  readonly mutates: boolean;
  run(context: AdminContext, query: Query): Answer | Promise<Answer>;
}

export function text(body: string, code = 200): Answer {
  return { code, type: "text/plain; charset=UTF-8", body };
}

export function json(value: unknown): Answer {
  return { code: 200, type: "application/json", body: `${JSON.stringify(value, null, 1)}\n` };
}

/** `1.2.3.4:80` or `[::1]:80` as an Envoy address. */
export function addressJson(address: string): unknown {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[|\]$/g, "");
  return { socket_address: { address: host, port_value: Number(address.slice(colon + 1)) } };
}
