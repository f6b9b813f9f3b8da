// Spoiled messages through weft's codec and through llhttp. A failure prints its seed: WEFT_FUZZ_SEED runs it alone,
// WEFT_FUZZ_CASES sets how many are tried.

import assert from "node:assert/strict";
import { it } from "node:test";
import { seededRandom } from "../../../src/base/random.ts";
import { compareWithLlhttp } from "../../fuzz/compare.ts";
import { forward } from "../../fuzz/forward.ts";
import { makeMessage } from "../../fuzz/grammar.ts";
import { parseByLlhttp } from "../../fuzz/llhttp.ts";

const ONLY = process.env["WEFT_FUZZ_SEED"];
const CASES = Number(process.env["WEFT_FUZZ_CASES"] ?? 4000);

it("weft is never the lax one, and an origin reads what weft understood", async () => {
  const wrong: string[] = [];
  let served = 0;
  let refused = 0;
  const seeds = ONLY === undefined ? Array.from({ length: CASES }, (_, index) => index) : [Number(ONLY)];
  for (const seed of seeds) {
    const text = makeMessage(seededRandom(seed));
    const weft = forward(text);
    served += weft.requests.length > 0 ? 1 : 0;
    refused += weft.refused === undefined ? 0 : 1;
    const problem = compareWithLlhttp(text, weft, {
      original: await parseByLlhttp(text),
      output: await parseByLlhttp(weft.output),
    });
    if (problem !== undefined)
      wrong.push(`seed ${seed}: ${JSON.stringify(text)}: ${JSON.stringify(weft.requests)}: ${problem}`);
  }
  assert.deepEqual(wrong.slice(0, 20), [], `${wrong.length} of ${seeds.length}`);
  if (ONLY === undefined) {
    assert.ok(
      served > CASES / 10 && refused > CASES / 10,
      `the grammar is one-sided: ${served} served, ${refused} refused`,
    );
  }
});
