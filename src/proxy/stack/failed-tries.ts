// The tries of a request after which there was another, for who asks afterwards.

import type { ResponseHead } from "../codec/head.ts";
import { FAILED_TRIES_MAX } from "../limits.ts";
import type { Reset } from "../route/retry.ts";
import type { Forward } from "./forward.ts";

export function noteFailed(forward: Forward, end: ResponseHead | Reset): void {
  forward.failedTries ??= [];
  if (forward.failedTries.length === FAILED_TRIES_MAX) return;
  const { stream, host } = forward;
  const why = typeof end === "string" ? { code: 0, reset: end } : { code: end.status, reset: "" };
  forward.failedTries.push({ host: host?.address ?? "", ...why, endMs: Math.round(stream.nowMs() - stream.startMs) });
}
