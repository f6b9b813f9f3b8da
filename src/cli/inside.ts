// What weft starts itself as inside the namespaces of the transparent mode. Not for people.

import type { Command } from "commander";
import { runInside } from "../cluster/inside.ts";
import { inheritedSocket } from "../cluster/launch/launch.ts";
import { prepareNodeNamespace } from "../cluster/launch/prepare.ts";
import { onStopSignals } from "../cluster/signals.ts";
import { API_SOCKET, DNS_SOCKET, INSIDE_VARIABLE } from "../cluster/start.ts";
import { readConfig } from "../cluster/task.ts";
import { CommandFailure, examples } from "./command.ts";
import { asFailure } from "./data-dir.ts";

export function define(command: Command): void {
  command.action(inside);
  examples(command, ["weft up"]);
}

async function inside(): Promise<void> {
  const config = readConfig(process.env[INSIDE_VARIABLE] ?? "");
  const fd = inheritedSocket(API_SOCKET);
  if (!config.ok || fd === undefined) {
    throw new CommandFailure("this command is weft's own", { next: 'Use "weft up".', exitCode: 2 });
  }
  const prepared = await prepareNodeNamespace();
  if (!prepared.ok) throw new CommandFailure(prepared.error, { next: 'Try "--intercept explicit".' });
  const stopping = new AbortController();
  onStopSignals(
    () => stopping.abort(),
    () => process.exit(1),
  );
  const done = await runInside(
    config.value,
    { kind: "fd", fd, upstreamFd: inheritedSocket(DNS_SOCKET) },
    stopping.signal,
  );
  if (!done.ok) throw asFailure(done.error);
  // Nothing of the cluster is left; what a library still holds open must not keep the process.
  process.exit(done.value);
}
