// The files of the page: read and compressed once, whole, from the folder that the build made.

import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { err, ok, type Result } from "../base/result.ts";
import { ASSET_BYTES_MAX } from "./limits.ts";

export interface Asset {
  readonly type: string;
  readonly plain: Buffer;
  readonly gzipped: Buffer;
  readonly etag: string;
  /** Its name has the hash of what is in it. */
  readonly isForever: boolean;
}

export type Assets = ReadonlyMap<string, Asset>;

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};
const compress = promisify(gzip);

/** Their paths on the server; the page itself is `/`. */
export async function readAssets(folder: string): Promise<Result<Assets, string>> {
  const assets = new Map<string, Asset>();
  try {
    for (const name of await readdir(folder)) {
      const type = TYPES[extname(name)];
      if (type === undefined) continue;
      const plain = await readFile(join(folder, name));
      if (plain.length > ASSET_BYTES_MAX) return err(`${join(folder, name)} has ${plain.length} bytes`);
      assets.set(name === "page.html" ? "/" : `/${name}`, {
        type,
        plain,
        gzipped: await compress(plain, { level: 9 }),
        etag: `"${createHash("sha256").update(plain).digest("base64url").slice(0, 22)}"`,
        isForever: /-[0-9A-Z]{8}\.\w+$/.test(name),
      });
    }
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
  return assets.has("/") ? ok(assets) : err(`${folder} has no page.html`);
}
