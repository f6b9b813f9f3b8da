// The version of a state of the world: made of its resources' versions, so that it is the same after a restart.

import { createHash } from "node:crypto";
import { VERSION_LENGTH } from "./limits.ts";
import type { ResourceList } from "./resource-list.ts";

const versions = new WeakMap<ResourceList, string>();

export function stateVersion(list: ResourceList): string {
  const known = versions.get(list);
  if (known !== undefined) return known;
  const hash = createHash("sha256");
  for (const { name, version } of list.values()) hash.update(`${name} ${version}\n`);
  const version = hash.digest("base64url").slice(0, VERSION_LENGTH);
  versions.set(list, version);
  return version;
}
