// Where the proxy's bundle is kept: in the checkout, or in a folder of the user's own where that can't be written.

import assert from "node:assert/strict";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const ROOT = join(import.meta.dirname, "..", "..", "..");

async function writableFolder(folders: readonly string[]): Promise<unknown> {
  const module: unknown = await import(pathToFileURL(join(ROOT, "scripts", "bundle-proxy.js")).href);
  assert.ok(typeof module === "object" && module !== null);
  const choose: unknown = Reflect.get(module, "writableFolder");
  assert.ok(typeof choose === "function");
  return choose(folders);
}

test("a folder that can't be made is passed over, and the next one finds the modules; none says why", async (context) => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "weft-bundle-")));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "file");
  writeFileSync(file, "");
  const own = join(folder, "own", "weft");
  assert.equal(await writableFolder([join(file, "cache"), own]), own);
  assert.equal(await writableFolder([own]), own);
  assert.equal(realpathSync(join(own, "node_modules")), realpathSync(join(ROOT, "node_modules")));
  await assert.rejects(writableFolder([join(file, "cache"), file]), /ENOTDIR/);
});
