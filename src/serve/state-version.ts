// The version of a state of the world: made of its resources' versions, so that it is the same after a restart.

import { createHash } from "node:crypto";
import { VERSION_LENGTH } from "./limits.ts";
import type { ResourceList } from "./resource-list.ts";

const whole = new WeakMap<ResourceList, string>();

/** Of all, or of what is wanted. */
export function stateVersion(list: ResourceList, wants?: (name: string) => boolean): string {
  if (wants === undefined || every(list, wants)) {
    const version = whole.get(list) ?? hashOf(list, () => true);
    whole.set(list, version);
    return version;
  }
  return hashOf(list, wants);
}

function every(list: ResourceList, wants: (name: string) => boolean): boolean {
  for (const { name } of list.values()) if (!wants(name)) return false;
  return true;
}

function hashOf(list: ResourceList, wants: (name: string) => boolean): string {
  const hash = createHash("sha256");
  for (const { name, version } of list.values()) if (wants(name)) hash.update(`${name} ${version}\n`);
  return hash.digest("base64url").slice(0, VERSION_LENGTH);
}
