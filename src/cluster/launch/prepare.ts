// The first thing that weft does inside its namespaces: what every later step takes for granted of the machine.

import { err, ok, type Result } from "../../base/result.ts";
import { runScript } from "../../node/transparent/script.ts";

/**
 * Loopback up, mounts that nobody outside sees. The transparent provider sets up the rest (addresses, forwarding,
 * service addresses), and each container gets its own /etc, /run and /proc.
 */
export async function prepareNodeNamespace(): Promise<Result<void, string>> {
  const done = await runScript("mount --make-rprivate / && ip link set lo up");
  return done.ok ? ok(undefined) : err(`the node's namespaces could not be prepared: ${done.error}`);
}
