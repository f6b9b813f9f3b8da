// Every format of a trace context: read, refused where it is malformed, and written so that it is read back as the same.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  chanceOf,
  extractContext,
  injectContext,
  type TraceFormat,
  traceReasonOf,
  withReason,
} from "../../../src/observe/trace-context.ts";

const TRACE = "463ac35c9f6413ad48485a3953bb6124";
const SPAN = "a2fb4a1d1a96d312";
const ALL: readonly TraceFormat[] = ["b3", "b3-single", "w3c", "jaeger", "cloud"];

function read(headers: Readonly<Record<string, string>>, preferred: readonly TraceFormat[] = ["b3"]) {
  return extractContext(new Map(Object.entries(headers)), preferred);
}

const VALID: readonly (readonly [Readonly<Record<string, string>>, string, string, boolean | undefined])[] = [
  [{ "x-b3-traceid": TRACE, "x-b3-spanid": SPAN }, TRACE, SPAN, undefined],
  [{ "x-b3-traceid": "48485a3953bb6124", "x-b3-spanid": SPAN, "x-b3-sampled": "0" }, "48485a3953bb6124", SPAN, false],
  [{ "x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-flags": "1" }, TRACE, SPAN, true],
  [{ "x-b3-traceid": TRACE.toUpperCase(), "x-b3-spanid": SPAN, "x-b3-sampled": "true" }, TRACE, SPAN, true],
  [{ b3: `${TRACE}-${SPAN}` }, TRACE, SPAN, undefined],
  [{ b3: `${TRACE}-${SPAN}-d` }, TRACE, SPAN, true],
  [{ b3: `${TRACE}-${SPAN}-0-05e3ac9a4f6e3b90` }, TRACE, SPAN, false],
  [{ traceparent: `00-${TRACE}-${SPAN}-00` }, TRACE, SPAN, false],
  [{ traceparent: `00-${TRACE}-${SPAN}-03` }, TRACE, SPAN, true],
  [{ traceparent: `cc-${TRACE}-${SPAN}-01-what-comes-later` }, TRACE, SPAN, true],
  [{ "uber-trace-id": `${TRACE}:${SPAN}:0:1` }, TRACE, SPAN, true],
  [{ "uber-trace-id": "1a%3A2b%3A0%3A0" }, "000000000000001a", "000000000000002b", false],
  [{ "uber-trace-id": `1${TRACE.slice(16)}:2b:0:3` }, `0000000000000001${TRACE.slice(16)}`, "000000000000002b", true],
  [{ "x-cloud-trace-context": `${TRACE}/255;o=1` }, TRACE, "00000000000000ff", true],
  [{ "x-cloud-trace-context": `${TRACE}/255` }, TRACE, "00000000000000ff", undefined],
];

test("each format is read", () => {
  for (const [headers, traceId, spanId, sampled] of VALID) {
    const { context } = read(headers);
    const said = JSON.stringify(headers);
    assert.deepEqual([context?.traceId, context?.spanId, context?.sampled], [traceId, spanId, sampled], said);
  }
});

test("what is malformed is no context", () => {
  const zeros = "0".repeat(32);
  const malformed: readonly Readonly<Record<string, string>>[] = [
    { "x-b3-traceid": TRACE },
    { "x-b3-traceid": "xyz", "x-b3-spanid": SPAN },
    { "x-b3-traceid": zeros, "x-b3-spanid": SPAN },
    { b3: `${TRACE}-` },
    { traceparent: `ff-${TRACE}-${SPAN}-01` },
    { traceparent: `00-${TRACE}-${SPAN}-01-more` },
    { traceparent: `00-${zeros}-${SPAN}-01` },
    { traceparent: `00-${TRACE}-${SPAN}-1` },
    { "uber-trace-id": `${TRACE}:${SPAN}:0` },
    { "uber-trace-id": `${TRACE}${TRACE}:${SPAN}:0:1` },
    { "x-cloud-trace-context": `${TRACE}/` },
    { "x-cloud-trace-context": `${TRACE}/0;o=1` },
  ];
  for (const headers of malformed) {
    const { context, present } = read(headers);
    assert.equal(context, undefined, JSON.stringify(headers));
    assert.equal(present.length, 1);
  }
});

test("a decision without a context is a decision", () => {
  assert.equal(read({ b3: "0" }).sampled, false);
  assert.equal(read({ b3: "1" }).sampled, true);
  assert.equal(read({ "x-b3-sampled": "0" }).sampled, false);
  assert.equal(read({}).sampled, undefined);
});

test("the preferred format holds where there are several, and a malformed one gives way", () => {
  const other = "1".repeat(32);
  const both = { traceparent: `00-${TRACE}-${SPAN}-01`, b3: `${other}-${SPAN}-1` };
  assert.equal(read(both, ["w3c"]).context?.traceId, TRACE);
  assert.equal(read(both, ["b3-single"]).context?.traceId, other);
  assert.equal(read({ ...both, traceparent: "nonsense" }, ["w3c"]).context?.traceId, other);
});

test("what is written is read back, in each format", () => {
  const digits = (length: number) =>
    fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: length, maxLength: length });
  const id = (length: number) => digits(length).filter((text) => /[^0]/.test(text));
  fc.assert(
    fc.property(fc.constantFrom(...ALL), id(32), id(16), fc.boolean(), (format, traceId, spanId, sampled) => {
      const headers = new Map<string, string>([["x-b3-parentspanid", SPAN]]);
      const edit = {
        get: (name: string) => headers.get(name),
        set: (name: string, value: string) => void headers.set(name, value),
        remove: (name: string) => void headers.delete(name),
      };
      injectContext(edit, { traceId, spanId, parentId: undefined, sampled }, [format]);
      const { context } = extractContext(headers, []);
      // Jaeger's ids have no leading zeros; a short one is a 64-bit one.
      assert.equal(context?.traceId.padStart(32, "0"), traceId);
      assert.equal(context?.spanId, spanId);
      assert.equal(context?.sampled, sampled);
      assert.equal(context?.parentId, undefined);
    }),
  );
});

test("a request id says whether it is traced in the digit of its version", () => {
  const id = "12345678-1234-4234-8234-123456789012";
  assert.equal(traceReasonOf(id), "not-traceable");
  for (const reason of ["sampled", "service-forced", "client-forced", "not-traceable"] as const)
    assert.equal(traceReasonOf(withReason(id, reason)), reason);
  assert.equal(withReason("short", "sampled"), "short");
  assert.equal(chanceOf(id), 0x12345678 % 10_000);
  assert.equal(chanceOf("no id at all"), undefined);
});

test("tracestate goes with its trace, whichever header tells of it first", () => {
  const trace = "0af7651916cd43dd8448eb211c80319c";
  const headers = new Map([
    ["uber-trace-id", `${trace}:00f067aa0ba902b7:0:1`],
    ["traceparent", `00-${trace}-00f067aa0ba902b7-01`],
    ["tracestate", "congo=t61rcWkgMzE"],
  ]);
  assert.equal(extractContext(headers, ["jaeger", "w3c"]).context?.traceState, "congo=t61rcWkgMzE");
  headers.set("traceparent", `00-${trace.replace("0a", "0b")}-00f067aa0ba902b7-01`);
  assert.equal(extractContext(headers, ["jaeger", "w3c"]).context?.traceState, "");
});
