// All that a bootstrap subscribes to: the control plane's stream, files, or both, as one source.

import { err, ok, type Result } from "../../base/result.ts";
import type { Bootstrap } from "../../proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import type { ConfigSource } from "../../proto/gen/envoy/config/core/v3/config_source.ts";
import { readFileName } from "./file-name.ts";
import type { FilePath } from "./files.ts";
import type { ResourceHandler, ResourceSource } from "./source.ts";
import type { NamedKind } from "./wire.ts";

export interface DynamicSources {
  readonly cluster: "none" | "ads" | FilePath;
  readonly listener: "none" | "ads" | FilePath;
}

/** Where listeners and clusters come from. The error names the field. */
export function readSources(bootstrap: Bootstrap): Result<DynamicSources, string> {
  const dynamic = bootstrap.dynamicResources;
  const cluster = readSource(dynamic?.cdsConfig, "cds_config");
  if (!cluster.ok) return cluster;
  const listener = readSource(dynamic?.ldsConfig, "lds_config");
  if (!listener.ok) return listener;
  const usesAds = cluster.value === "ads" || listener.value === "ads";
  if (usesAds && dynamic?.adsConfig === undefined) {
    return err("dynamic_resources.ads_config: is needed where cds_config or lds_config says ads");
  }
  return ok({ cluster: cluster.value, listener: listener.value });
}

function readSource(source: ConfigSource | undefined, field: string): Result<"none" | "ads" | FilePath, string> {
  const specifier = source?.configSourceSpecifier;
  switch (specifier?.$case) {
    case undefined:
      return source === undefined ? ok("none") : err(`dynamic_resources.${field}: names no source`);
    case "ads":
      return ok("ads");
    case "path":
      return ok({ path: specifier.value, watched: "" });
    case "pathConfigSource":
      return ok({ path: specifier.value.path, watched: specifier.value.watchedDirectory?.path ?? "" });
    default:
      return err(`dynamic_resources.${field}: only ads and path_config_source are followed here; name ads instead`);
  }
}

/** Names that carry a file go to the files, all others to the control plane. */
export function joinSources(ads: ResourceSource | undefined, files: ResourceSource): ResourceSource {
  return {
    listeners: files.listeners || ads?.listeners === true,
    start(handler: ResourceHandler) {
      files.start(handler);
      ads?.start(handler);
    },
    setWanted(kind: NamedKind, names: ReadonlySet<string>) {
      files.setWanted(kind, names);
      ads?.setWanted(kind, new Set([...names].filter((name) => readFileName(name) === undefined)));
    },
    stop() {
      files.stop();
      ads?.stop();
    },
  };
}
