// Namespaces for a test that needs a network of its own.

import { spawnSync } from "node:child_process";

export const NAMESPACE = ["--user", "--map-root-user", "--net", "--"];

export function skipWithoutNamespaces(): string | false {
  const tried = spawnSync("unshare", [...NAMESPACE, "nft", "add", "table", "ip", "sim"], { encoding: "utf8" });
  return tried.status === 0 ? false : `needs unshare, nft and user namespaces: ${tried.error?.message ?? tried.stderr}`;
}
