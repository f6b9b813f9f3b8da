// One tiny shell that outlives weft by a moment: when weft dies in any way, it ends the process groups weft had running.

import { spawn } from "node:child_process";

export interface Watchdog {
  /** Lets it go; whatever the ledger still names is ended. */
  close(): Promise<void>;
}

// Standard input is a pipe that only weft writes to: its end of file is weft's end. File names are process group ids.
const SCRIPT = `trap '' INT TERM HUP
read -r _
for file in "$1"/*; do
  [ -f "$file" ] && kill -9 "-\${file##*/}" 2>/dev/null
done
exit 0`;

export function startWatchdog(ledgerDirectory: string): Watchdog {
  const child = spawn("/bin/sh", ["-c", SCRIPT, "weft-watchdog", ledgerDirectory], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
    env: { PATH: "/usr/bin:/bin" },
    cwd: "/",
  });
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    // Without a shell the processes are still tied to weft by their death signal and by the ledger.
    child.once("error", () => resolve());
  });
  child.stdin.on("error", () => undefined);
  child.unref();
  if ("unref" in child.stdin && typeof child.stdin.unref === "function") child.stdin.unref();
  return {
    close: () => {
      // Now it is waited for: without this the event loop could end first, when nothing else is left.
      child.ref();
      child.stdin.end();
      return ended;
    },
  };
}
