// What commands print: tables for people, JSON and YAML for programs, colours on a terminal only.

import { styleText } from "node:util";
import { Option } from "commander";

export type Format = "table" | "json" | "yaml";
type Colour = Parameters<typeof styleText>[0];

/** Honours NO_COLOR and FORCE_COLOR, and stays plain where the stream is no terminal. */
export function paint(colour: Colour, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return styleText(colour, text, { stream, validateStream: true });
}

export function formatOption(): Option {
  return new Option("-o, --output <format>", "print json or yaml instead of a table").choices(["json", "yaml"]);
}

export function readFormat(value: unknown): Format {
  return value === "json" || value === "yaml" ? value : "table";
}

export async function printStructured(value: unknown, format: "json" | "yaml"): Promise<void> {
  if (format === "json") {
    console.log(JSON.stringify(value, null, 2));
    return;
  }
  const { stringify } = await import("yaml");
  process.stdout.write(stringify(value, { lineWidth: 0, aliasDuplicateObjects: false }));
}

export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_name, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  return all
    .map((row) =>
      row
        .map((cell, column) => (column === header.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
        .join("   ")
        .trimEnd(),
    )
    .join("\n");
}
