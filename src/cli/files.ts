// Manifests named on the command line: a file, a folder, or standard input.

import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { CommandFailure } from "./command.ts";

/** For options that may be repeated. */
export function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}

export async function readInput(file: string): Promise<string> {
  try {
    // Not read by its descriptor: a pipe whose writer has nothing yet would be an error there.
    return file === "-" ? await text(process.stdin) : readFileSync(file, "utf8");
  } catch (error) {
    throw new CommandFailure(`cannot read ${file === "-" ? "standard input" : file}: ${messageOf(error)}`, {
      next: 'Name an existing file, or "-" for standard input.',
    });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
