// Spans on the wire. The golden bytes were read back by others' code: Apache Thrift's compact protocol, and the OpenTelemetry
// SDK's protobuf.

import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeJaeger } from "../../../src/observe/jaeger.ts";
import { encodeOtlp } from "../../../src/observe/otlp.ts";
import type { Span } from "../../../src/observe/span.ts";
import { encodeZipkin } from "../../../src/observe/zipkin.ts";
import { jaegerSpans } from "../../traces/jaeger-spans.ts";

const SPAN: Span = {
  traceId: "463ac35c9f6413ad48485a3953bb6124",
  spanId: "a2fb4a1d1a96d312",
  parentId: "05e3ac9a4f6e3b90",
  kind: "client",
  shared: false,
  name: "api/*",
  startUs: 1_700_000_000_123_456,
  durationUs: 1500.4,
  tags: ["http.status_code", "503", "error", "true", "ü", "é"],
  isError: true,
  traceState: "a=1",
};
const ROOT: Span = { ...SPAN, parentId: undefined, isError: false, tags: [] };
const SOURCE = { serviceName: "api.production", ip: "10.0.0.7", attributes: ["k", "v"] };

const JAEGER =
  "82810009656d697442617463681c1c180e6170692e70726f64756374696f6e192c18016b150018017600180269701500" +
  "180831302e302e302e370000192c16c884dbbbaa8eadc8900116dacea0f693d7e1ba8c0116dbb3c9d6dcf8da84ba0116" +
  "a0eef1f6c9a6d6e30b18056170692f2a250216808981828389850616b817194c18097370616e2e6b696e641500180663" +
  "6c69656e74001810687474702e7374617475735f636f646515001803353033001802c3bc15001802c3a9001805657272" +
  "6f72150431000016c884dbbbaa8eadc8900116dacea0f693d7e1ba8c0116dbb3c9d6dcf8da84ba01160018056170692f" +
  "2a250216808981828389850616b817191c18097370616e2e6b696e6415001806636c69656e7400000000";
const OTLP =
  "0ac4010a2c0a200a0c736572766963652e6e616d6512100a0e6170692e70726f64756374696f6e0a080a016b12030a01" +
  "761293010a060a04776566741288010a10463ac35c9f6413ad48485a3953bb61241208a2fb4a1d1a96d3121a03613d31" +
  "220805e3ac9a4f6e3b902a056170692f2a30033900ca853dfe9c97174160ad9c3dfe9c97174a190a10687474702e7374" +
  "617475735f636f646512050a033530334a0f0a056572726f7212060a04747275654a0a0a02c3bc12040a02c3a97a0218" +
  "02850101000000";

test("a Jaeger batch is the known bytes", () => {
  const { packets, tooLarge } = encodeJaeger([SPAN, ROOT], SOURCE, 8192);
  assert.deepEqual(
    packets.map((packet) => packet.toString("hex")),
    [JAEGER],
  );
  assert.equal(tooLarge, 0);
});

test("an OTLP request is the known bytes", () => {
  assert.equal(encodeOtlp([SPAN], SOURCE).toString("hex"), OTLP);
});

test("a Zipkin list has the format's fields", () => {
  assert.equal(
    encodeZipkin([{ ...ROOT, shared: true, durationUs: 0.2 }], SOURCE).toString(),
    '[{"traceId":"463ac35c9f6413ad48485a3953bb6124","id":"a2fb4a1d1a96d312","kind":"CLIENT","name":"api/*",' +
      '"timestamp":1700000000123456,"duration":1,"shared":true,"tags":{},' +
      '"localEndpoint":{"serviceName":"api.production","ipv4":"10.0.0.7"}}]',
  );
});

test("many spans are as many datagrams as the size asks for, and none is lost or told twice", () => {
  const spans = Array.from({ length: 500 }, (_none, index) => ({ ...SPAN, name: `span ${index}` }));
  const { packets, tooLarge } = encodeJaeger([...spans, { ...SPAN, name: "x".repeat(9000) }], SOURCE, 8192);
  assert.equal(tooLarge, 1);
  assert.ok(packets.length > 5);
  assert.ok(packets.every(({ length }) => length <= 8192));
  assert.deepEqual(
    packets.flatMap((packet) => jaegerSpans(packet)).map(({ name }) => name),
    spans.map(({ name }) => name),
  );
});
