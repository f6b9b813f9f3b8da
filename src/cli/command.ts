// What a command file offers to the command line, and how a command says that it failed.

import type { Command } from "commander";

/** 0 done, 1 the answer is no or it failed, 2 wrong usage. */
export type ExitCode = 0 | 1 | 2;

export interface CommandModule {
  /** Adds arguments, options, examples and the action to a command that has its name and summary. */
  define(command: Command): void;
}

export interface CommandEntry {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly summary: string;
  /** Not for people: left out of the help. */
  readonly hidden?: true;
  readonly load: () => Promise<CommandModule>;
}

/** A failure that is the user's to see: one sentence what, one what to do next. */
export class CommandFailure extends Error {
  readonly next: string | undefined;
  readonly exitCode: ExitCode;

  constructor(message: string, options: { readonly next?: string; readonly exitCode?: ExitCode } = {}) {
    super(message);
    this.name = "CommandFailure";
    this.next = options.next;
    this.exitCode = options.exitCode ?? 1;
  }
}

export function examples(command: Command, lines: readonly string[]): void {
  command.addHelpText("after", `\nExamples:\n${lines.map((line) => `  $ ${line}`).join("\n")}`);
}
