// What the package says of itself.

import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { isRecord, parseJson } from "../base/json.ts";

/** The folder that holds package.json: two above the sources, and two above the compiled files. */
export function packageRoot(): string {
  let directory = import.meta.dirname;
  while (!existsSync(join(directory, "package.json")) && dirname(directory) !== directory) {
    directory = dirname(directory);
  }
  return directory;
}

export function packageVersion(): string {
  const parsed = parseJson(readFileSync(join(packageRoot(), "package.json"), "utf8"));
  const version = parsed.ok && isRecord(parsed.value) ? parsed.value["version"] : undefined;
  return typeof version === "string" ? version : "unknown";
}
