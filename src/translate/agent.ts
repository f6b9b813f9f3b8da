// What Envoy does for the agent beside it: it tells who calls, hears who is called, and reports each request and
// connection, of which the agent makes Istio's metrics.

import type { AccessLogRule } from "../model/access-log.ts";
import { AccessLog } from "../proto/gen/envoy/config/accesslog/v3/accesslog.ts";
import { HeaderMutation as HeaderChange } from "../proto/gen/envoy/config/common/mutation_rules/v3/mutation_rules.ts";
import { HeaderValueOption_HeaderAppendAction } from "../proto/gen/envoy/config/core/v3/base.ts";
import { ApiVersion } from "../proto/gen/envoy/config/core/v3/config_source.ts";
import { GrpcService } from "../proto/gen/envoy/config/core/v3/grpc_service.ts";
import {
  CommonGrpcAccessLogConfig,
  HttpGrpcAccessLogConfig,
  TcpGrpcAccessLogConfig,
} from "../proto/gen/envoy/extensions/access_loggers/grpc/v3/als.ts";
import { HeaderMutation } from "../proto/gen/envoy/extensions/filters/http/header_mutation/v3/header_mutation.ts";
import {
  Config,
  Config_Rule,
  Config_ValueType,
} from "../proto/gen/envoy/extensions/filters/http/header_to_metadata/v3/header_to_metadata.ts";
import { HttpFilter } from "../proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import { CustomTag } from "../proto/gen/envoy/type/tracing/v3/custom_tag.ts";
import { AGENT_CLUSTER } from "./names.ts";
import { any, durationOf } from "./wire.ts";

/** A report to the agent, beside the logs that Telemetry asks for. */
export interface AgentReport {
  readonly reporter: "source" | "destination";
}

export type LogRule = AccessLogRule | AgentReport;

export function isReport(rule: LogRule): rule is AgentReport {
  return "reporter" in rule;
}

/** Istio's header: a workload's name, namespace and labels. */
export const PEER_HEADER = "x-envoy-peer-metadata";
/** Of Envoy's environment: the agent sets it, so that all workloads get the same configuration. */
const PEER_VARIABLE = "WEFT_PEER_METADATA";
const FLUSH_MS = 1_000;

export function agentLog(report: AgentReport, protocol: "http" | "tcp"): AccessLog {
  const common = CommonGrpcAccessLogConfig.fromPartial({
    logName: `weft.dev/${report.reporter}`,
    grpcService: GrpcService.fromPartial({
      targetSpecifier: { $case: "envoyGrpc", value: { clusterName: AGENT_CLUSTER } },
    }),
    transportApiVersion: ApiVersion.V3,
    bufferFlushInterval: durationOf(FLUSH_MS),
  });
  common.customTags = tagsOf(report, protocol);
  const prefix = "envoy.extensions.access_loggers.grpc.v3";
  const value =
    protocol === "http"
      ? any(
          `${prefix}.HttpGrpcAccessLogConfig`,
          HttpGrpcAccessLogConfig,
          HttpGrpcAccessLogConfig.fromPartial({ commonConfig: common }),
        )
      : any(`${prefix}.TcpGrpcAccessLogConfig`, TcpGrpcAccessLogConfig, { commonConfig: common });
  return AccessLog.fromPartial({
    name: `envoy.access_loggers.${protocol}_grpc`,
    configType: { $case: "typedConfig", value },
  });
}

/** What an entry doesn't say by itself. */
function tagsOf({ reporter }: AgentReport, protocol: "http" | "tcp"): CustomTag[] {
  const formats: Record<string, string> = {
    response_flags: "%RESPONSE_FLAGS%",
    services: "%METADATA(CLUSTER:istio:services)%",
  };
  if (reporter === "source") {
    formats["upstream_principal"] = "%UPSTREAM_PEER_URI_SAN%";
    formats["workload"] = "%METADATA(UPSTREAM_HOST:istio:workload)%";
  }
  if (protocol === "http") {
    formats["content_type"] = "%REQ(CONTENT-TYPE)%";
    formats["grpc_status"] = "%GRPC_STATUS_NUMBER%";
  }
  return Object.entries(formats).map(([name, value]) =>
    CustomTag.fromPartial({ tag: name, type: { $case: "value", value } }),
  );
}

/** A client says who it is, and hears from the server's answer who that is; its application sees neither. */
export function clientPeerFilters(): HttpFilter[] {
  const config = Config.fromPartial({});
  config.responseRules = [peerRule()];
  return [
    mutationFilter("weft.dev/peer", { request: [tell()], response: [] }),
    filter("weft.dev/peer-metadata", config),
  ];
}

/** A server whose client has shown a certificate does the same; what a stranger says of itself is thrown away. */
export function serverPeerFilters(isMesh: boolean): HttpFilter[] {
  if (!isMesh) return [mutationFilter("weft.dev/peer", { request: [HeaderChange.fromPartial(REMOVED)], response: [] })];
  const config = Config.fromPartial({});
  config.requestRules = [peerRule()];
  return [
    filter("weft.dev/peer-metadata", config),
    mutationFilter("weft.dev/peer", { request: [], response: [tell()] }),
  ];
}

const REMOVED = { action: { $case: "remove" as const, value: PEER_HEADER } };

function tell(): HeaderChange {
  return HeaderChange.fromPartial({
    action: {
      $case: "append",
      value: {
        header: { key: PEER_HEADER, value: `%ENVIRONMENT(${PEER_VARIABLE})%` },
        appendAction: HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
      },
    },
  });
}

function peerRule(): Config_Rule {
  return Config_Rule.fromPartial({
    header: PEER_HEADER,
    onHeaderPresent: { metadataNamespace: "weft.dev", key: "peer", type: Config_ValueType.STRING },
    remove: true,
  });
}

function filter(name: string, config: Config): HttpFilter {
  const typeName = "envoy.extensions.filters.http.header_to_metadata.v3.Config";
  return HttpFilter.fromPartial({
    name,
    configType: { $case: "typedConfig", value: any(typeName, Config, config) },
  });
}

function mutationFilter(
  name: string,
  { request, response }: { readonly request: HeaderChange[]; readonly response: HeaderChange[] },
): HttpFilter {
  const config = HeaderMutation.fromPartial({ mutations: {} });
  if (config.mutations !== undefined) {
    config.mutations.requestMutations = request;
    config.mutations.responseMutations = response;
  }
  const typeName = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation";
  return HttpFilter.fromPartial({
    name,
    configType: { $case: "typedConfig", value: any(typeName, HeaderMutation, config) },
  });
}
