// The command line as /server_info shows it: Envoy's names and forms, with the values in force.

import type { ServerOptions } from "./arguments.ts";

export function commandLineOptions(options: ServerOptions): Readonly<Record<string, unknown>> {
  return {
    base_id: "0",
    concurrency: options.concurrency,
    config_path: options.configPath,
    config_yaml: options.configYaml,
    allow_unknown_static_fields: false,
    admin_address_path: options.adminAddressPath,
    local_address_ip_version: "v4",
    log_level: options.logLevel,
    component_log_level: options.componentLevels.map((pair) => pair.join(":")).join(","),
    log_format: options.logFormat,
    log_path: options.logPath,
    service_cluster: options.serviceCluster,
    service_node: options.serviceNode,
    service_zone: options.serviceZone,
    drain_time: `${options.drainMs / 1000}s`,
    parent_shutdown_time: `${options.parentShutdownMs / 1000}s`,
    mode: "Serve",
    restart_epoch: 0,
    reject_unknown_dynamic_fields: true,
    ignore_unknown_dynamic_fields: false,
    drain_strategy: options.drainStrategy === "gradual" ? "Gradual" : "Immediate",
  };
}
