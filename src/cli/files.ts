// Manifests named on the command line: a file, a folder, or standard input.

import { readFileSync } from "node:fs";
import { CommandFailure } from "./command.ts";

/** For options that may be repeated. */
export function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}

export function readInput(file: string): string {
  try {
    return readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (error) {
    throw new CommandFailure(`cannot read ${file === "-" ? "standard input" : file}: ${messageOf(error)}`, {
      next: 'Name an existing file, or "-" for standard input.',
    });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
