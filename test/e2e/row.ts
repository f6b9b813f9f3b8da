// What a row of the walk is given.

import assert from "node:assert/strict";
import type { Cluster } from "./cluster.ts";
import type { Manifest, Post } from "./post.ts";

export interface Walk {
  readonly cluster: Cluster;
  readonly post: Post;
  readonly manifest: (kind: string, name: string) => Manifest;
  /** Runs the one command of the post that matches, its `<places>` filled in, and returns what it printed. */
  readonly command: (pattern: RegExp, places?: Readonly<Record<string, string>>) => Promise<string>;
}

export interface Row {
  readonly name: string;
  /** Later rows stand on this one: it runs even where only some rows are asked for (WEFT_WALK_ROWS). */
  readonly sets?: true;
  /** A tool without which the row is skipped; in CI, which installs it, that is a failure. */
  readonly needs?: string;
  readonly run: (walk: Walk) => Promise<void>;
}

/** One of the post's manifests, which later rows stand on. */
export function appliesAsItStands(kind: string, name: string): Row {
  return {
    name: `${kind} ${name} applies as it stands`,
    sets: true,
    run: async ({ cluster, manifest }) => {
      assert.match(await cluster.apply(manifest(kind, name).yaml), /created/);
    },
  };
}
