// From an Envoy bootstrap to the control plane that it names: address, TLS, node, variant.

import fs from "node:fs";
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import { err, ok, type Result } from "../../base/result.ts";
import type { Bootstrap } from "../../proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import type { Cluster } from "../../proto/gen/envoy/config/cluster/v3/cluster.ts";
import type { DataSource } from "../../proto/gen/envoy/config/core/v3/base.ts";
import { Node } from "../../proto/gen/envoy/config/core/v3/base.ts";
import { UpstreamTlsContext } from "../../proto/gen/envoy/extensions/transport_sockets/tls/v3/tls.ts";
import type { SecretSource } from "../socket/secret.ts";
import type { AdsOptions, AdsTls } from "./ads.ts";
import type { ResourceKind } from "./source.ts";

export interface TargetOptions {
  readonly secrets: SecretSource | undefined;
  /** The bearer token, read for each connection; undefined when there is none. */
  token(): string | undefined;
  readonly clock: Clock;
  readonly random: Random;
}

const TLS_TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
const API_GRPC = 2;
const API_DELTA_GRPC = 3;

/** Undefined when the bootstrap has no dynamic resources. The error names the field. */
export function readAdsTarget(bootstrap: Bootstrap, options: TargetOptions): Result<AdsOptions | undefined, string> {
  const ads = bootstrap.dynamicResources?.adsConfig;
  if (ads === undefined) return ok(undefined);
  const place = "dynamic_resources.ads_config";
  if (ads.apiType !== API_GRPC && ads.apiType !== API_DELTA_GRPC) {
    return err(`${place}.api_type: only GRPC and DELTA_GRPC are spoken`);
  }
  const specifier = ads.grpcServices[0]?.targetSpecifier;
  if (specifier?.$case !== "envoyGrpc")
    return err(`${place}.grpc_services[0]: expected envoy_grpc with a cluster_name`);
  const name = specifier.value.clusterName;
  const cluster = bootstrap.staticResources?.clusters.find((candidate) => candidate.name === name);
  if (cluster === undefined) return err(`${place}.grpc_services[0].envoy_grpc.cluster_name: no static cluster ${name}`);
  const target = targetOf(cluster);
  if (!target.ok) return err(`static_resources.clusters[${name}]: ${target.error}`);
  const tls = tlsOf(cluster, options);
  if (!tls.ok) return err(`static_resources.clusters[${name}].transport_socket: ${tls.error}`);
  return ok({
    target: target.value,
    tls: tls.value,
    node: bootstrap.node ?? Node.fromPartial({}),
    wildcards: wildcardsOf(bootstrap),
    variant: ads.apiType === API_DELTA_GRPC ? "delta" : "sotw",
    clock: options.clock,
    random: options.random,
  });
}

/** What the bootstrap takes from the stream as a whole. */
function wildcardsOf(bootstrap: Bootstrap): ReadonlySet<ResourceKind> {
  const { cdsConfig, ldsConfig } = bootstrap.dynamicResources ?? {};
  const kinds = new Set<ResourceKind>();
  if (cdsConfig?.configSourceSpecifier?.$case === "ads") kinds.add("cluster");
  if (ldsConfig?.configSourceSpecifier?.$case === "ads") kinds.add("listener");
  return kinds;
}

function targetOf(cluster: Cluster): Result<string, string> {
  const identifier = cluster.loadAssignment?.endpoints[0]?.lbEndpoints[0]?.hostIdentifier;
  const address = identifier?.$case === "endpoint" ? identifier.value.address?.address : undefined;
  if (address?.$case === "pipe") return ok(`unix:${address.value.path}`);
  if (address?.$case === "socketAddress" && address.value.portSpecifier?.$case === "portValue") {
    const host = address.value.address;
    return ok(`${host.includes(":") ? `[${host}]` : host}:${address.value.portSpecifier.value}`);
  }
  return err("load_assignment names no endpoint with an address and a port");
}

function tlsOf(cluster: Cluster, options: TargetOptions): Result<AdsTls | undefined, string> {
  const any = cluster.transportSocket?.configType?.value;
  if (any === undefined || any.typeUrl.endsWith(".RawBuffer")) return ok(undefined);
  if (any.typeUrl !== TLS_TYPE) return err(`typed_config: expected ${TLS_TYPE}, got ${any.typeUrl}`);
  const context = UpstreamTlsContext.decode(any.value);
  const validation = context.commonTlsContext?.validationContextType;
  if (validation?.$case !== "validationContext") return err("common_tls_context.validation_context is needed");
  const trusted = validation.value.trustedCa;
  if (trusted === undefined) return err("common_tls_context.validation_context.trusted_ca is needed");
  const matcher = validation.value.matchTypedSubjectAltNames[0]?.matcher?.matchPattern;
  const usesDefault = context.commonTlsContext?.tlsCertificateSdsSecretConfigs.some((sds) => sds.name === "default");
  return ok({
    rootPem: () => readData(trusted),
    serverName: matcher?.$case === "exact" ? matcher.value : context.sni,
    secrets: usesDefault === true ? options.secrets : undefined,
    token: options.token,
  });
}

function readData(source: DataSource): Result<string, string> {
  switch (source.specifier?.$case) {
    case "inlineString":
      return ok(source.specifier.value);
    case "inlineBytes":
      return ok(source.specifier.value.toString("utf8"));
    case "filename":
      try {
        return ok(fs.readFileSync(source.specifier.value, "utf8"));
      } catch (error) {
        return err(`the root certificate can't be read: ${error instanceof Error ? error.message : String(error)}`);
      }
    default:
      return err("trusted_ca: expected filename, inline_string or inline_bytes");
  }
}
