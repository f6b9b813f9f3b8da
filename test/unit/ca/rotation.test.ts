// The rotation of the mesh's root on disk: its steps, and a start after a crash anywhere within them.

import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import nodeFs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";
import { VirtualClock } from "../../../src/base/clock.ts";
import { type Authority, nextStep, openAuthority, type RotationStep } from "../../../src/ca/authority.ts";
import type { Disk } from "../../../src/ca/roots.ts";
import { readBundle, readCertificate, verifyChain } from "../../../src/identity/chain.ts";
import { generateKey, KEY_ALGORITHMS } from "../../../src/identity/key.ts";
import { splitCertificates } from "../../../src/identity/pem.ts";

const HOUR_MS = 3_600_000;
const clock = new VirtualClock(Date.now());
const folders: string[] = [];

after(() => {
  for (const folder of folders) nodeFs.rmSync(folder, { recursive: true });
});

function folder(): string {
  const made = nodeFs.mkdtempSync(path.join(os.tmpdir(), "weft-rotation-"));
  folders.push(made);
  return made;
}

async function open(directory: string, disk: Disk = nodeFs): Promise<Authority> {
  const opened = await openAuthority({ directory, trustDomain: "cluster.local", clock, disk });
  assert.ok(opened.ok, opened.ok ? "" : opened.error);
  return opened.value;
}

async function step(authority: Authority, which: RotationStep): Promise<void> {
  const taken = await authority.rotate(which);
  assert.ok(taken.ok, taken.ok ? "" : taken.error);
}

/** A certificate of the authority's holds by its bundle, and its signer is the bundle's first. */
async function holds(authority: Authority): Promise<void> {
  const leaf = await authority.sign({
    publicKeyDer: new Uint8Array(createPublicKey(generateKey()).export({ type: "spki", format: "der" })),
    names: [{ type: "url", value: "spiffe://cluster.local/ns/a/sa/b" }],
    lifetimeMs: HOUR_MS,
  });
  const [first = ""] = splitCertificates(authority.rootPem);
  assert.ok(verifyChain(leaf, first, clock.wallMs()).ok);
  assert.equal(readCertificate(first).ok && authority.root.pem, first);
}

function roots(authority: Authority): readonly string[] {
  return splitCertificates(authority.rootPem);
}

describe("the root's rotation", () => {
  test("goes by its steps, tells listeners, and leaves nothing of the old root", async () => {
    const directory = folder();
    const authority = await open(directory);
    let heard = 0;
    authority.onChange(() => {
      heard += 1;
    });
    const [old = ""] = roots(authority);
    const oldKey = nodeFs.readFileSync(path.join(directory, "root-key.pem"), "utf8");
    await step(authority, "trust");
    const [first, next = ""] = roots(authority);
    assert.deepEqual([first, authority.root.pem, authority.step], [old, old, "trust"]);
    await holds(authority);
    await step(authority, "sign");
    assert.deepEqual(roots(authority), [next, old]);
    await holds(authority);
    await step(authority, "drop");
    assert.deepEqual([roots(authority), authority.step, heard], [[next], "stable", 3]);
    await holds(authority);
    for (const file of nodeFs.readdirSync(directory)) {
      const text = nodeFs.readFileSync(path.join(directory, file), "utf8");
      assert.ok(!text.includes(oldKey.split("\n")[1] ?? ""), `${file} still has the old key`);
      assert.equal(nodeFs.statSync(path.join(directory, file)).mode & 0o777, 0o600, file);
    }
    assert.equal((await open(directory)).rootPem, authority.rootPem);
  });

  test("skips no step", async () => {
    const authority = await open(folder());
    const refused = async (which: RotationStep): Promise<string> => {
      const taken = await authority.rotate(which);
      return taken.ok ? "taken" : taken.error;
    };
    assert.equal(await refused("sign"), "the next step is trust, not sign");
    assert.equal(await refused("drop"), "the next step is trust, not drop");
    await step(authority, "trust");
    assert.equal(await refused("drop"), "the next step is sign, not drop");
    assert.equal(await refused("trust"), "the next step is sign, not trust");
    await step(authority, "sign");
    assert.equal(await refused("trust"), "the next step is drop, not trust");
    assert.equal(authority.step, "sign");
  });

  test("takes two requests at once as one", async () => {
    const authority = await open(folder());
    const taken = await Promise.all([authority.rotate("trust"), authority.rotate("trust")]);
    assert.deepEqual(
      taken.map(({ ok }) => ok),
      [true, false],
    );
    assert.equal(roots(authority).length, 2);
  });

  test("killed at any point, it is found at the step before or the step after, and goes on", async () => {
    for (let writes = 1; ; writes += 1) {
      const directory = folder();
      const disk = new Dying(writes);
      const survived = await whole(directory, disk);
      const again = await open(directory, NO_SYNC);
      await holds(again);
      if (disk.reached !== undefined) assert.ok(disk.allowed.includes(again.step), `${disk.reached}: ${again.step}`);
      do await step(again, nextStep(again.step));
      while (again.step !== "stable");
      await holds(again);
      assert.equal(roots(again).length, 1);
      assert.deepEqual(nodeFs.readdirSync(directory).sort(), ["root-cert.pem", "root-key.pem"]);
      if (survived) {
        assert.ok(writes > 40, `a rotation has ${writes} writes`);
        break;
      }
    }
  });

  for (const algorithm of KEY_ALGORITHMS) {
    test(`makes a root of ${algorithm}`, async () => {
      const authority = await open(folder());
      assert.ok((await authority.rotate("trust", algorithm)).ok);
      await step(authority, "sign");
      await holds(authority);
      await step(authority, "drop");
      assert.ok(readBundle(authority.rootPem).ok);
    });
  }
});

const NO_SYNC = { ...nodeFs, fsyncSync: () => undefined };

/** From nothing through a rotation; false where the disk died. */
async function whole(directory: string, disk: Dying): Promise<boolean> {
  const opened = await openAuthority({ directory, trustDomain: "cluster.local", clock, disk });
  if (!opened.ok) return false;
  for (const which of ["trust", "sign", "drop"] as const) {
    disk.allowed = [opened.value.step, which === "drop" ? "stable" : which];
    if (!(await opened.value.rotate(which)).ok) return false;
  }
  return true;
}

/** Does what it is told so many times, and nothing any more from then on: all that a kill leaves behind. */
class Dying implements Disk {
  allowed: readonly Authority["step"][] = ["stable"];
  reached: string | undefined;
  #left: number;

  constructor(writes: number) {
    this.#left = writes;
  }

  mkdirSync: Disk["mkdirSync"] = (...args) => this.#or("mkdir", () => nodeFs.mkdirSync(...args));
  openSync: Disk["openSync"] = (...args) => this.#or("open", () => nodeFs.openSync(...args));
  /** What a killed process has written is there all the same. */
  fsyncSync: Disk["fsyncSync"] = () => this.#or("fsync", () => undefined);
  renameSync: Disk["renameSync"] = (...args) => this.#or("rename", () => nodeFs.renameSync(...args));
  rmSync: Disk["rmSync"] = (...args) => this.#or("rm", () => nodeFs.rmSync(...args));
  /** A dead process has no descriptors either. */
  closeSync: Disk["closeSync"] = (...args) => nodeFs.closeSync(...args);

  /** Half of a text is the worst that can be there. */
  writeSync = (handle: number, text: string): number =>
    this.#or(
      "write",
      () => nodeFs.writeSync(handle, text),
      () => nodeFs.writeSync(handle, text.slice(0, text.length / 2)),
    );

  #or<T>(name: string, run: () => T, last: () => unknown = () => undefined): T {
    this.#left -= 1;
    if (this.#left >= 0) return run();
    if (this.#left === -1) {
      this.reached = name;
      last();
    }
    throw new Error("killed");
  }
}
