// Where a resource is taken from: the control plane, or a file.

import type { ConfigSource } from "../../proto/gen/envoy/config/core/v3/config_source.ts";
import { fileName } from "../subscribe/file-name.ts";
import type { Field } from "./field.ts";

/** The workload's own, served beside the proxy whatever source is named for them. */
const LOCAL_SECRETS: ReadonlySet<string> = new Set(["default", "ROOTCA"]);

/** The name under which the resource is subscribed and found. */
export function sourcedName(name: string, source: ConfigSource | undefined, at: Field): string {
  const specifier = source?.configSourceSpecifier;
  switch (specifier?.$case) {
    case undefined:
    case "ads":
    case "self":
      return name;
    case "path":
      return fileName({ path: specifier.value, watched: "", name });
    case "pathConfigSource": {
      const { path, watchedDirectory } = specifier.value;
      return fileName({ path, watched: watchedDirectory?.path ?? "", name });
    }
    case "apiConfigSource":
      if (!LOCAL_SECRETS.has(name)) {
        at.at("apiConfigSource").refuse("only ads and path_config_source are followed here; name ads instead");
      }
      return name;
  }
}
