// Retry policies: what a host may ask for, and which names there are.

import assert from "node:assert/strict";
import { test } from "node:test";
import { RetryPolicy } from "../../../src/proto/gen/envoy/config/route/v3/route_components.ts";
import { ResponseHead } from "../../../src/proxy/codec/head.ts";
import { HeaderList } from "../../../src/proxy/codec/headers.ts";
import { Field } from "../../../src/proxy/compile/field.ts";
import { compileRetry } from "../../../src/proxy/compile/retry.ts";
import { askedDelayMs } from "../../../src/proxy/route/retry.ts";

test("a host says when to come back, in seconds or as a time, up to a limit", () => {
  const policy = RetryPolicy.fromPartial({
    retryOn: "5xx",
    rateLimitedRetryBackOff: {
      resetHeaders: [
        { name: "Retry-After", format: 0 },
        { name: "X-Reset", format: 1 },
      ],
      maxInterval: { seconds: 60, nanos: 0 },
    },
  });
  const config = compileRetry(policy, Field.root("", ""));
  const asked = (...raw: string[]) =>
    askedDelayMs(config, new ResponseHead(429, "", false, new HeaderList(raw)), 1_000_000);
  assert.equal(asked("retry-after", "5"), 5000);
  assert.equal(asked("x-reset", "1010"), 10_000);
  assert.equal(asked("retry-after", "61", "x-reset", "1001"), 1000);
  assert.equal(asked("x-reset", "999"), undefined);
  assert.equal(asked("retry-after", "soon"), undefined);
  assert.equal(asked(), undefined);
});

test("conditions that are not built in are refused by name", () => {
  const at = Field.root("", "");
  compileRetry(RetryPolicy.fromPartial({ retryOn: "5xx,http3-post-connect-failure" }), at);
  assert.deepEqual(
    at.refusals.map((one) => one.path),
    ["retry_on"],
  );
});
