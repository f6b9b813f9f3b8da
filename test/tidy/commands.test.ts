// docs/commands.md says what every command says of itself. WEFT_UPDATE=1 writes it anew.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import test from "node:test";
import type { Command } from "commander";
import { COMMANDS } from "../../src/cli/entries.ts";
import { buildProgram } from "../../src/cli/run.ts";
import { readText, root } from "./source.ts";

const DOCUMENT = "docs/commands.md";
const WIDTH = 100;

/** The help as a terminal of this width shows it, examples included. */
function helpOf(command: Command): string {
  let text = "";
  command
    .configureOutput({
      writeOut: (part) => {
        text += part;
      },
      getOutHelpWidth: () => WIDTH,
      getOutHasColors: () => false,
    })
    .outputHelp();
  return text.trimEnd();
}

async function section(name: string, aliases: readonly string[]): Promise<string> {
  const program = await buildProgram([name]);
  const command = program.commands.find((each) => each.name() === name);
  assert.ok(command, name);
  const known = aliases.length === 0 ? "" : ` (${aliases.map((alias) => `\`${alias}\``).join(", ")})`;
  const inner = command.commands.map((each) => helpOf(each));
  return [
    `## weft ${name}${known}\n`,
    ...[helpOf(command), ...inner].map((help) => `\`\`\`text\n${help}\n\`\`\`\n`),
  ].join("\n");
}

async function page(): Promise<string> {
  const sections: string[] = [];
  for (const { name, aliases, hidden } of COMMANDS) if (hidden !== true) sections.push(await section(name, aliases));
  return `# Commands

What \`weft COMMAND --help\` says, made from the commands themselves (\`npm run docs\`). In a checkout they are \`npx --no weft …\`.

Exit codes: 0 done; 1 the answer is no, or it failed; 2 wrong usage. Errors go to standard error and say what to do next.

${sections.join("\n")}`;
}

test("docs/commands.md is in step with the commands", async () => {
  const wanted = await page();
  if (process.env["WEFT_UPDATE"] === "1") writeFileSync(`${root}/${DOCUMENT}`, wanted);
  else assert.equal(readText(DOCUMENT), wanted, "run npm run docs");
});

test("every command's name and aliases are in the README's table, or another's row names it", () => {
  const readme = readText("README.md");
  const missing = COMMANDS.filter(({ hidden, name }) => hidden !== true && !readme.includes(`\`weft ${name}`));
  assert.deepEqual(
    missing.map(({ name }) => name),
    [],
  );
});
