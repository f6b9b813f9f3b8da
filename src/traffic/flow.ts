// A flow: who calls whom, which version, how they speak, and whose proxy says so. Made from the labels of Istio's metrics.

export interface Workload {
  readonly workload: string;
  readonly namespace: string;
  /** The canonical service: what the workload is part of. */
  readonly app: string;
  readonly version: string;
  /** SPIFFE identity that the connection showed; empty where it showed none. */
  readonly principal: string;
}

export interface Flow {
  /** Whose proxy counted: the caller's or the called one's. */
  readonly reporter: "source" | "destination";
  readonly source: Workload;
  readonly destination: Workload;
  /** The host that was called: `api.production.svc.cluster.local`. */
  readonly service: string;
  readonly serviceName: string;
  readonly serviceNamespace: string;
  /** `http`, `grpc` or `tcp`. */
  readonly protocol: string;
  readonly security: "mutual_tls" | "none" | "unknown";
}

/** What Istio writes where it doesn't know. */
export const UNKNOWN = "unknown";

export function flowOf(labels: ReadonlyMap<string, string>): Flow | undefined {
  const reporter = labels.get("reporter");
  if (reporter !== "source" && reporter !== "destination") return undefined;
  const text = (name: string): string => labels.get(name) || UNKNOWN;
  const source = workloadOf("source", text);
  const destination = workloadOf("destination", text);
  const serviceNamespace = text("destination_service_namespace");
  return {
    reporter,
    source,
    destination,
    service: text("destination_service"),
    serviceName: text("destination_service_name"),
    serviceNamespace: serviceNamespace === UNKNOWN ? destination.namespace : serviceNamespace,
    protocol: text("request_protocol"),
    security: securityOf(text("connection_security_policy"), source, destination),
  };
}

function workloadOf(side: "source" | "destination", text: (name: string) => string): Workload {
  const principal = text(`${side}_principal`);
  const revision = text(`${side}_canonical_revision`);
  return {
    workload: text(`${side}_workload`),
    namespace: text(`${side}_workload_namespace`),
    app: firstKnown(text(`${side}_canonical_service`), text(`${side}_app`)),
    version: firstKnown(text(`${side}_version`), revision === "latest" ? UNKNOWN : revision),
    principal: principal === UNKNOWN ? "" : principal,
  };
}

function firstKnown(first: string, second: string): string {
  return first === UNKNOWN ? second : first;
}

/** The caller's side leaves the policy out; that it has seen who answers means that it spoke mutual TLS. */
function securityOf(policy: string, source: Workload, destination: Workload): Flow["security"] {
  if (policy === "mutual_tls" || policy === "none") return policy;
  return source.principal !== "" && destination.principal !== "" ? "mutual_tls" : UNKNOWN;
}

/** Equal for equal flows. */
export function flowKey(flow: Flow): string {
  const { source, destination } = flow;
  return [
    flow.reporter,
    ...[source, destination].flatMap((one) => [one.workload, one.namespace, one.app, one.version, one.principal]),
    flow.service,
    flow.serviceName,
    flow.serviceNamespace,
    flow.protocol,
    flow.security,
  ].join("\0");
}
