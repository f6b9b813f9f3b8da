// A small file that the node provides.

import fs from "node:fs";
import { err, ok, type Result } from "../base/result.ts";
import { FILE_BYTES_MAX } from "./limits.ts";

export function readText(file: string): Result<string, string> {
  try {
    const { size } = fs.statSync(file);
    if (size > FILE_BYTES_MAX) return err(`${file} is larger than ${FILE_BYTES_MAX} bytes`);
    return ok(fs.readFileSync(file, "utf8"));
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}
