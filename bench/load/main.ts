// The load process, pinned to the load's core: its own origins, so that neither waits for the other to be scheduled, and
// what wrk can't do. Told over IPC what to run, one thing at a time.

import { Check } from "typebox/value";
import { runBulk } from "./bulk.ts";
import { type LoadAnswer, LoadCommand } from "./command.ts";
import { runHandshakes } from "./handshakes.ts";
import { startBulkOrigin, startHttpOrigin } from "./origin.ts";
import { runRate } from "./rate.ts";

process.on("message", (message: unknown) => {
  if (!Check(LoadCommand, message)) throw new Error("not a command of the load process");
  void run(message).then((answer) => process.send?.(answer));
});
process.on("disconnect", () => process.exit());
process.send?.({ httpPort: await startHttpOrigin(), bulkPort: await startBulkOrigin() });

function run(command: LoadCommand): Promise<LoadAnswer> {
  switch (command.kind) {
    case "rate":
      return runRate(command);
    case "handshakes":
      return runHandshakes(command);
    case "bulk":
      return runBulk(command);
  }
}
