// Tells when files may have changed, however they are replaced: written in place, renamed over, or behind a link that a
// folder's `..data` swaps at once.

import fs from "node:fs";
import path from "node:path";

/** Events of one change come in bursts. */
const SETTLE_MS = 50;
/** Where the system watches nothing more (its limit is reached, the folder is gone), files are looked at this often. */
const POLL_MS = 5_000;

/** `onChange` may come without a change: who listens compares what it reads. Returns how to stop. Keeps no process alive. */
export function watchFiles(files: readonly string[], folders: readonly string[], onChange: () => void): () => void {
  let settling: NodeJS.Timeout | undefined;
  let watchers: fs.FSWatcher[] = [];
  let stopped = false;
  const soon = () => {
    settling ??= setTimeout(() => {
      settling = undefined;
      if (stopped) return;
      // What a link leads to may be elsewhere now.
      watch();
      onChange();
    }, SETTLE_MS).unref();
  };
  const close = () => {
    for (const watcher of watchers) watcher.close();
    watchers = [];
  };
  const watch = () => {
    close();
    let blind = false;
    for (const folder of foldersOf(files, folders)) {
      try {
        const watcher = fs.watch(folder, { persistent: false }, soon);
        watcher.on("error", () => watcher.close());
        watchers.push(watcher);
      } catch {
        blind = true;
      }
    }
    if (blind) poll.refresh();
  };
  const poll = setTimeout(() => soon(), POLL_MS).unref();
  watch();
  return () => {
    stopped = true;
    clearTimeout(settling);
    clearTimeout(poll);
    close();
  };
}

/** The folder of each file, and the one that its link leads to. */
function foldersOf(files: readonly string[], more: readonly string[]): ReadonlySet<string> {
  const found = new Set(more);
  for (const file of files) {
    found.add(path.dirname(file));
    try {
      found.add(path.dirname(fs.realpathSync(file)));
    } catch {
      // Not there yet: its folder tells when it comes.
    }
  }
  return found;
}
