// What `weft proxy --help` prints.

export const USAGE = `Usage: weft proxy -c BOOTSTRAP [options]
       weft proxy sidecar|router [--domain DOMAIN] [--proxyLogLevel LEVEL]

Runs weft's proxy on an Envoy v3 bootstrap (YAML or JSON), or as a pod's sidecar or a gateway (router),
configured by its environment.

Configuration:
  -c, --config-path FILE        the bootstrap
      --config-yaml YAML        a bootstrap as text; with -c it is merged over the file
      --mode MODE               serve, or validate: check the bootstrap, bind nothing, exit 0 or 1
      --service-cluster NAME    node.cluster, over the bootstrap's
      --service-node ID         node.id, over the bootstrap's
      --service-zone ZONE       node.locality.zone, over the bootstrap's

Life:
      --concurrency N           worker threads that serve connections (default 1)
      --drain-time-s SECONDS    how long a draining listener's connections may go on (default 600)
      --drain-strategy WHICH    gradual: answers say "connection: close" ever more often over the drain time
                                (default); immediate: from the first one on
      --parent-shutdown-time-s SECONDS
                                when a process that was replaced by a hot restart ends at the latest (default 900)

Logs and admin:
  -l, --log-level LEVEL         trace, debug, info (default), warning, error, critical, off
      --component-log-level L   levels of single loggers, as main:debug,xds:trace
      --log-path FILE           the log goes there; SIGUSR1 opens the file anew
      --log-format FORMAT       plain (default), json, or a pattern as Envoy's: "[%Y-%m-%d %T.%e][%l][%n] %v"
      --admin-address-path FILE where the admin interface's address is written

  -h, --help                    this text
      --version                 the version

Accepted for Envoy's sake, without effect: --base-id, --base-id-path, --use-dynamic-base-id, --restart-epoch,
--disable-hot-restart (no shared memory is used, so no id is needed), --file-flush-interval-msec.

Signals: SIGTERM drains and exits; a second one exits at once. SIGHUP starts a new process with the configuration (and
the program) as they are now; it takes the listening sockets over, and the old one drains. Where the new one does not get
ready, the old one goes on.

Examples:
  $ weft proxy -c bootstrap.yaml
  $ weft proxy -c bootstrap.yaml --concurrency 2 --drain-time-s 30
  $ weft proxy -c bootstrap.yaml --mode validate
  $ weft proxy -c bootstrap.yaml --config-yaml 'admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}'
  $ weft proxy sidecar --domain production.svc.cluster.local
`;

/** What `weft agent --help` prints. */
export const AGENT_USAGE = `Usage: weft agent [proxy] sidecar|router [--domain DOMAIN] [--envoy PATH] [--proxyLogLevel LEVEL]

Runs Envoy as a pod's sidecar or as a gateway (router), configured by the pod's environment, and beside it what Envoy
needs of a mesh: the workload's key and certificate, merged metrics and rewritten probes on 15020, readiness on 15021,
DNS on 15053, Istio's metrics. The container ends when Envoy does.

      --domain DOMAIN           the pod's DNS domain (default: NAMESPACE.svc.cluster.local)
      --envoy PATH              Envoy's binary (default: WEFT_ENVOY, else "envoy" on the PATH)
  -l, --proxyLogLevel LEVEL     trace, debug, info (default), warning, error, critical, off

  -h, --help                    this text
      --version                 the version

The environment is that of Istio's agent, as the injector writes it: POD_NAME, POD_NAMESPACE, INSTANCE_IP, PROXY_CONFIG,
CA_ADDR, ISTIO_META_*. Next: see docs/envoy.md.

Signals: SIGTERM drains (PROXY_CONFIG's terminationDrainDuration, default 5s) and exits; a second one exits at once.

Examples:
  $ weft agent sidecar --domain production.svc.cluster.local
  $ weft agent proxy router --envoy /usr/local/bin/envoy
`;
