// The command line: finds the command that is asked for, loads it alone, and turns failures into messages and exit codes.

import { Command, CommanderError } from "commander";
import { type CommandEntry, CommandFailure } from "./command.ts";
import { COMMANDS } from "./entries.ts";
import { paint } from "./output.ts";
import { packageVersion } from "./package.ts";

/** Runs one command line and leaves its outcome in `process.exitCode`. */
export async function run(argv: readonly string[]): Promise<void> {
  // A reader that leaves early (`| head`) is no failure of ours.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
  });
  const program = await buildProgram(argv);
  try {
    await program.parseAsync([...argv], { from: "user" });
  } catch (error) {
    process.exitCode = report(error);
    // After a failure halfway, something may still be open that would keep the process.
    process.exit();
  }
}

export async function buildProgram(argv: readonly string[]): Promise<Command> {
  const program = new Command("weft");
  // `weft proxy` hands its options on.
  program.enablePositionalOptions();
  program
    .description("A service mesh that starts in seconds on a laptop.")
    .version(packageVersion(), "-V, --version", "print the version")
    .showSuggestionAfterError(true)
    .showHelpAfterError('Try "weft --help".')
    .configureHelp({ showGlobalOptions: false })
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, "weft: ")) })
    .addHelpText(
      "after",
      '\nBegin with "weft demo", or "weft up -d" and then kubectl. "weft COMMAND --help" has examples.',
    );
  const wanted = argv.find((word) => word !== "help" && !word.startsWith("-"));
  for (const entry of COMMANDS) await addCommand(program, entry, wanted);
  return program;
}

async function addCommand(program: Command, entry: CommandEntry, wanted: string | undefined): Promise<void> {
  const command = program
    .command(entry.name, { hidden: entry.hidden === true })
    .summary(entry.summary)
    .description(sentence(entry.summary));
  for (const alias of entry.aliases) command.alias(alias);
  command.exitOverride().showHelpAfterError(`Try "weft ${entry.name} --help".`);
  if (wanted !== entry.name && !(wanted !== undefined && entry.aliases.includes(wanted))) return;
  const module = await entry.load();
  module.define(command);
}

function sentence(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
}

function report(error: unknown): number {
  if (error instanceof CommanderError) {
    // Help and version come as exceptions too; `weft` alone shows the help and is wrong usage.
    return error.exitCode === 0 ? 0 : 2;
  }
  if (error instanceof CommandFailure) {
    console.error(`${paint("red", "weft:", process.stderr)} ${error.message}`);
    if (error.next !== undefined) console.error(`      ${error.next}`);
    return error.exitCode;
  }
  console.error(`weft: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  console.error("      This is a fault in weft. Please report it with the lines above.");
  return 1;
}
