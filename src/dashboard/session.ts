// Who is logged in: one-time codes become sessions. Neither is kept in the clear, nor anywhere but in memory.

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Clock } from "../base/clock.ts";
import {
  LOGIN_BURST,
  LOGIN_CODE_MS,
  LOGIN_CODES_MAX,
  LOGINS_PER_SECOND,
  REQUEST_BURST,
  REQUESTS_PER_SECOND,
  SESSION_MS,
  SESSIONS_MAX,
} from "./limits.ts";
import { RateLimit } from "./rate-limit.ts";

export interface Session {
  readonly mayChange: boolean;
  /** What a change has to bring, which another site can't read. */
  readonly csrf: string;
  readonly endsAtMs: number;
  readonly requests: RateLimit;
}

interface Code {
  readonly mayChange: boolean;
  readonly endsAtMs: number;
}

export class Sessions {
  readonly #clock: Clock;
  readonly #codes = new Map<string, Code>();
  readonly #sessions = new Map<string, Session>();
  readonly #attempts: RateLimit;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#attempts = new RateLimit(clock, LOGIN_BURST, LOGINS_PER_SECOND);
  }

  /** Whether one more may try. */
  admitAttempt(): boolean {
    return this.#attempts.admit();
  }

  makeCode(mayChange: boolean): { readonly code: string; readonly seconds: number } {
    const code = secret();
    keepBelow(this.#codes, LOGIN_CODES_MAX);
    this.#codes.set(hash(code), { mayChange, endsAtMs: this.#clock.monotonicMs() + LOGIN_CODE_MS });
    return { code, seconds: LOGIN_CODE_MS / 1_000 };
  }

  /** The session's secret; undefined for a code that is unknown, used or too old. */
  open(code: string): string | undefined {
    const key = hash(code);
    const found = this.#codes.get(key);
    this.#codes.delete(key);
    const nowMs = this.#clock.monotonicMs();
    if (found === undefined || found.endsAtMs < nowMs) return undefined;
    const token = secret();
    keepBelow(this.#sessions, SESSIONS_MAX);
    this.#sessions.set(hash(token), {
      mayChange: found.mayChange,
      csrf: secret(),
      endsAtMs: nowMs + SESSION_MS,
      requests: new RateLimit(this.#clock, REQUEST_BURST, REQUESTS_PER_SECOND),
    });
    return token;
  }

  find(token: string): Session | undefined {
    const key = hash(token);
    const session = this.#sessions.get(key);
    if (session === undefined) return undefined;
    if (session.endsAtMs >= this.#clock.monotonicMs()) return session;
    this.#sessions.delete(key);
    return undefined;
  }

  close(token: string): void {
    this.#sessions.delete(hash(token));
  }
}

export function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function secret(): string {
  return randomBytes(32).toString("base64url");
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}

/** The oldest make room: entries stand in the order in which they were made. */
function keepBelow(map: Map<string, unknown>, max: number): void {
  for (const key of map.keys()) {
    if (map.size < max) return;
    map.delete(key);
  }
}
