// What a container leaves behind for whoever asks why it ended: a file of its own, or the end of its log.

import { closeSync, mkdirSync, openSync, readSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Container } from "../api/kubernetes/container.ts";
import { MESSAGE_FILE_BYTES_MAX, MESSAGE_LOG_BYTES_MAX, MESSAGE_LOG_LINES_MAX } from "./limits.ts";
import { readLog } from "./log-read.ts";
import type { Mount, SandboxProvider } from "./sandbox.ts";

const PATH_DEFAULT = "/dev/termination-log";

/**
 * An empty file for one run, seen by the container at its path. Where the machine's own /dev is what the container
 * sees, nothing can be put into it: there, another path has to be named.
 */
export function messageMount(
  container: Container,
  { directory, mode }: { readonly directory: string; readonly mode: SandboxProvider["mode"] },
): Mount | undefined {
  const target = container.terminationMessagePath ?? PATH_DEFAULT;
  if (target === "" || (mode === "transparent" && target.startsWith("/dev/"))) return undefined;
  const source = join(directory, "termination", container.name);
  mkdirSync(dirname(source), { recursive: true });
  writeFileSync(source, "", { mode: 0o666 });
  return { source, target, readOnly: false };
}

export interface EndedRun {
  readonly container: Container;
  readonly exitCode: number;
  readonly messageFile: string | undefined;
  readonly logPath: string;
}

export function terminationMessage({ container, exitCode, messageFile, logPath }: EndedRun): string | undefined {
  const written = messageFile === undefined ? "" : readStart(messageFile);
  if (written !== "") return written;
  if (exitCode === 0 || container.terminationMessagePolicy !== "FallbackToLogsOnError") return undefined;
  const log = readLog(logPath, {
    tailLines: MESSAGE_LOG_LINES_MAX,
    sinceMs: undefined,
    timestamps: false,
    limitBytes: undefined,
  });
  return log.subarray(-MESSAGE_LOG_BYTES_MAX).toString("utf8");
}

function readStart(path: string): string {
  try {
    const descriptor = openSync(path, "r");
    const bytes = Buffer.alloc(MESSAGE_FILE_BYTES_MAX);
    const length = readSync(descriptor, bytes, 0, bytes.length, 0);
    closeSync(descriptor);
    return bytes.toString("utf8", 0, length);
  } catch {
    // The pod's directory is gone already.
    return "";
  }
}
