// The command as a user meets it: exit codes, places, formats.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import path from "node:path";
import test from "node:test";
import { isRecord, parseJson } from "../../../src/base/json.ts";

const root = path.join(import.meta.dirname, "../../..");
const golden = "test/golden/analyze";

function analyze(...args: readonly string[]) {
  const { NO_COLOR: _no, FORCE_COLOR: _force, ...env } = process.env;
  const input = "a: [\n";
  const done = spawnSync(process.execPath, ["bin/weft.js", "analyze", ...args], {
    cwd: root,
    env,
    input,
    encoding: "utf8",
  });
  return { code: done.status, out: done.stdout, err: done.stderr };
}

test("0 below the threshold, 1 at it, with file, line and next step", () => {
  const file = `${golden}/WEFT0104-no-retry-on/in.yaml`;
  const warned = analyze("-f", file);
  assert.equal(warned.code, 0, warned.err);
  assert.match(warned.out, new RegExp(`^Warning \\[WEFT0104\\] VirtualService shop/one ${file}:27\n`));
  assert.match(warned.out, /\n {2}→ Set retryOn/);
  assert.match(warned.out, /\n1 warning in 4 resources\.\n$/);
  assert.equal(analyze("-f", file, "--failure-threshold", "Warning").code, 1);
  assert.equal(analyze(`${golden}/IST0101-host/in.yaml`).code, 1);
});

test("wrong usage is 2, what is no YAML names its line", () => {
  assert.equal(analyze("--severity", "bad").code, 2);
  assert.equal(analyze("-f", "no-such-file.yaml").code, 2);
  const broken = analyze("-f", "-");
  assert.equal(broken.code, 1);
  assert.match(broken.out, /^Error \[IST0106\] -:2\n/);
});

test("JSON for programs", () => {
  const parsed = parseJson(analyze("-f", `${golden}/IST0101-subset/in.yaml`, "-o", "json").out);
  assert.ok(parsed.ok && isRecord(parsed.value) && Array.isArray(parsed.value["findings"]));
  assert.equal(parsed.value["findings"].length, 1);
});
