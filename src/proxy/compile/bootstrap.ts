// What a bootstrap says beside its resources: honoured, or refused by its path.

import type { Bootstrap, RuntimeLayer } from "../../proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import { type Field, fields } from "./field.ts";
import { compileOverload, type OverloadConfig } from "./overload.ts";
import { flattenLayer, type RuntimeValue } from "./runtime.ts";

export const BOOTSTRAP_TYPE = "type.googleapis.com/envoy.config.bootstrap.v3.Bootstrap";

export interface RuntimeLayerConfig {
  readonly name: string;
  readonly kind: "static" | "admin";
  readonly values: ReadonlyMap<string, RuntimeValue>;
}

export interface BootstrapConfig {
  readonly layers: readonly RuntimeLayerConfig[];
  readonly overload: OverloadConfig | undefined;
}

/** `stats_flush_interval` says when sinks are fed: there are none, and /stats is always up to date. */
const HONOURED = fields(
  "node nodeContextParams staticResources dynamicResources layeredRuntime admin statsFlushInterval clusterManager defaultRegexEngine overloadManager",
);
const DYNAMIC = fields("ldsConfig cdsConfig adsConfig");
const ADS = fields("apiType transportApiVersion grpcServices setNodeOnFirstMessageOnly");
/** Names a file for profiles that nobody can ask for here. */
const ADMIN = fields("address profilePath ignoreGlobalConnLimit");
const RE2 = "type.googleapis.com/envoy.extensions.regex_engines.v3.GoogleRE2";

export function compileBootstrap(bootstrap: Bootstrap, at: Field): BootstrapConfig {
  at.only(bootstrap, HONOURED);
  const { dynamicResources: dynamic, admin, clusterManager, defaultRegexEngine: engine, overloadManager } = bootstrap;
  if (dynamic !== undefined) {
    const field = at.at("dynamicResources");
    field.only(dynamic, DYNAMIC);
    if (dynamic.adsConfig !== undefined) field.at("adsConfig").only(dynamic.adsConfig, ADS);
  }
  if (admin !== undefined) at.at("admin").only(admin, ADMIN);
  if (clusterManager !== undefined) at.at("clusterManager").only(clusterManager, fields(""));
  if (engine !== undefined && engine.typedConfig?.typeUrl !== RE2) {
    at.at("defaultRegexEngine").refuse("only Google's RE2 is built in");
  }
  const layered = at.at("layeredRuntime").at("layers");
  const layers = (bootstrap.layeredRuntime?.layers ?? []).map((layer, index) => compileLayer(layer, layered.at(index)));
  if (layers.filter(({ kind }) => kind === "admin").length > 1) {
    layered.refuse("only one admin_layer is allowed");
  }
  const overload =
    overloadManager === undefined ? undefined : compileOverload(overloadManager, at.at("overloadManager"));
  return { layers, overload };
}

function compileLayer(layer: RuntimeLayer, at: Field): RuntimeLayerConfig {
  const { name, layerSpecifier: specifier } = layer;
  if (name === "") at.at("name").refuse("a layer needs a name");
  switch (specifier?.$case) {
    case "staticLayer":
      return { name, kind: "static", values: flattenLayer(specifier.value) };
    case "adminLayer":
      return { name, kind: "admin", values: new Map() };
    default:
      at.at(specifier?.$case ?? "layerSpecifier").refuse("only static_layer and admin_layer are built in");
      return { name, kind: "static", values: new Map() };
  }
}
