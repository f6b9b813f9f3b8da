import assert from "node:assert/strict";
import test from "node:test";
import { LINE_LENGTH_MAX } from "../../../src/traffic/limits.ts";
import { PrometheusReader, parseLabels } from "../../../src/traffic/prometheus-text.ts";

function read(pieces: readonly string[]): { readonly samples: unknown[]; readonly refused: number } {
  const samples: unknown[] = [];
  const reader = new PrometheusReader("istio_", (name, labels, value) => samples.push([name, labels, value]));
  for (const piece of pieces) reader.feed(piece);
  reader.end();
  return { samples, refused: reader.refused };
}

const PAGE = [
  "# HELP istio_a what",
  "# TYPE istio_a counter",
  'istio_a{x="1",y="}\\"{"} 5',
  "envoy_b 7",
  "istio_bare 3 1700000000000",
  'istio_sum{} 1.5e3 # {trace_id="7"} 0.1',
  'istio_a {x="spaced"} 2',
  'istio_inf{le="+Inf"} +Inf',
  "istio_last 9",
].join("\n");

test("samples are the same however the page is cut into pieces", () => {
  const whole = read([PAGE]);
  assert.deepEqual(whole, {
    samples: [
      ["istio_a", 'x="1",y="}\\"{"', 5],
      ["istio_bare", "", 3],
      ["istio_sum", "", 1_500],
      ["istio_a", 'x="spaced"', 2],
      ["istio_inf", 'le="+Inf"', Number.POSITIVE_INFINITY],
      ["istio_last", "", 9],
    ],
    refused: 0,
  });
  for (let size = 1; size < 40; size += 1) {
    const pieces = PAGE.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
    assert.deepEqual(read(pieces), whole, `pieces of ${size}`);
  }
});

test("what is no sample is left out and counted, and the rest is read", () => {
  const long = `istio_long{x="${"a".repeat(LINE_LENGTH_MAX)}"} 1\n`;
  const pieces = [
    'istio_nan NaN\nistio_none\nistio_open{a="b\n',
    long.slice(0, 20_000),
    long.slice(20_000),
    "istio_a 1\n",
  ];
  assert.deepEqual(read(pieces), { samples: [["istio_a", "", 1]], refused: 4 });
});

test("labels: escapes are undone", () => {
  assert.deepEqual(
    [...parseLabels('a="1", b="x\\\\y\\"z\\n",c="",')],
    [
      ["a", "1"],
      ["b", 'x\\y"z\n'],
      ["c", ""],
    ],
  );
});
