// Versions of a map against plain maps: the same entries, and the same differences.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { seededRandom } from "../../../src/base/random.ts";
import { VersionedMap } from "../../../src/base/versioned-map.ts";

function plainChanges(from: ReadonlyMap<string, string>, to: ReadonlyMap<string, string>): readonly string[] {
  return [...new Set([...from.keys(), ...to.keys()])].filter((key) => from.get(key) !== to.get(key)).sort();
}

interface Version {
  readonly map: VersionedMap<string, string>;
  readonly plain: ReadonlyMap<string, string>;
}

function edited({ map, plain }: Version, below: (count: number) => number): Version {
  const next = new Map(plain);
  const changes = Array.from({ length: below(8) }, () => {
    return [`k${below(250)}`, below(10) < 3 ? undefined : String(below(3))] as const;
  });
  for (const [key, value] of changes) {
    if (value === undefined) next.delete(key);
    else next.set(key, value);
  }
  return { map: map.with(changes), plain: next };
}

describe("a versioned map", () => {
  it("holds what a plain map would, in every version, and tells any two apart", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = seededRandom(seed);
      const below = (count: number): number => Math.floor(random() * count);
      const plain = new Map(Array.from({ length: below(200) }, (_, i) => [`k${i}`, "0"]));
      const versions: Version[] = [{ map: VersionedMap.of(plain), plain }];
      for (let step = 1; step < 60; step++)
        versions.push(edited(versions.at(-1) ?? { map: VersionedMap.of([]), plain }, below));
      for (const each of versions) {
        assert.equal(each.map.size, each.plain.size);
        assert.deepEqual([...each.map].sort(), [...each.plain].sort());
        const other = versions[below(versions.length)] ?? each;
        assert.deepEqual([...VersionedMap.changes(each.map, other.map)].sort(), plainChanges(each.plain, other.plain));
      }
    }
  });

  it("stays the same value where nothing differs, and keeps its order where values are replaced", () => {
    const map = VersionedMap.of<string, string>([
      ["b", "1"],
      ["a", "1"],
    ]);
    assert.equal(map.with([["a", "1"]]), map);
    assert.equal(map.with([["none", undefined]]), map);
    assert.deepEqual([...map.with([["b", "2"]]).keys()], ["b", "a"]);
  });
});
