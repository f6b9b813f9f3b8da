// The simpler way to each need, with a manifest to begin with that has the application's own names in it.

import { type AppService, type Named, runsBehind } from "./app.ts";
import type { Facts } from "./facts.ts";
import { POLICIES_SHOWN_MAX } from "./limits.ts";

export interface Alternative {
  readonly name: string;
  readonly manifest: string;
}

const SOMETHING: AppService = { namespace: "default", name: "api", selector: { app: "api" }, ports: [] };

export function ownTls(facts: Facts): Alternative {
  const { namespace, name } = mostCalled(facts);
  return {
    name: "TLS in the application's code, certificates by cert-manager",
    manifest: `apiVersion: cert-manager.io/v1
kind: Certificate
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  secretName: ${name}-tls
  dnsNames: [${name}, ${name}.${namespace}.svc]
  issuerRef: { kind: ClusterIssuer, name: internal-ca }
`,
  };
}

export function argoRollout(facts: Facts): Alternative {
  const { namespace, name } = facts.versions[0]?.service ?? mostCalled(facts);
  const service = facts.services.find((each) => each.namespace === namespace && each.name === name);
  const workload = facts.workloads.find((each) => service !== undefined && runsBehind(service, each))?.name ?? name;
  return {
    name: "Argo Rollouts",
    manifest: `apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  workloadRef: { apiVersion: apps/v1, kind: Deployment, name: ${workload} }
  strategy:
    canary:
      steps:
      - setWeight: 10
      - pause: { duration: 5m }
      - setWeight: 50
      - pause: { duration: 5m }
`,
  };
}

export function library(facts: Facts): Alternative {
  const { namespace, name } = mostCalled(facts);
  return {
    name: "a library (Resilience4j, Polly, opossum)",
    manifest: `# application.yaml of a caller of ${name}, for Resilience4j
apiVersion: v1
kind: ConfigMap
metadata: { name: calls-to-${name}, namespace: ${namespace} }
data:
  application.yaml: |
    resilience4j:
      circuitbreaker.instances.${name}: { failureRateThreshold: 50, waitDurationInOpenState: 30s }
      timelimiter.instances.${name}: { timeoutDuration: 2s }
      retry.instances.${name}: { maxAttempts: 3 }
`,
  };
}

export function openTelemetry(facts: Facts): Alternative {
  const { namespace, name } = facts.workloads[0] ?? SOMETHING;
  return {
    name: "the OpenTelemetry SDK",
    manifest: `# kubectl patch deployment ${name} -n ${namespace} --patch-file this.yaml
spec:
  template:
    spec:
      containers:
      - name: ${name}
        env:
        - { name: OTEL_SERVICE_NAME, value: ${name} }
        - { name: OTEL_EXPORTER_OTLP_ENDPOINT, value: "http://otel-collector.observability:4317" }
        - { name: OTEL_TRACES_SAMPLER, value: parentbased_traceidratio }
        - { name: OTEL_TRACES_SAMPLER_ARG, value: "0.1" }
`,
  };
}

/** From the calls that are known: each service lets its callers in, and nobody else. */
export function networkPolicies(facts: Facts): Alternative {
  const called = [...Map.groupBy(facts.calls, ({ to }) => to)].slice(0, POLICIES_SHOWN_MAX);
  const policies = called.map(([to, calls]) =>
    policyFor(
      to,
      calls.map(({ from }) => from),
      facts,
    ),
  );
  const fallback = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: deny-all, namespace: ${facts.namespaces[0] ?? "default"} }
spec: { podSelector: {}, policyTypes: [Ingress] }
`;
  return { name: "Kubernetes' NetworkPolicy", manifest: policies.length === 0 ? fallback : policies.join("---\n") };
}

function policyFor(to: AppService, callers: readonly Named[], { workloads }: Facts): string {
  const from = callers.map(({ namespace, name }) => {
    const labels = workloads.find((each) => each.namespace === namespace && each.name === name)?.labels ?? {};
    const app = labels["app"] ?? labels["app.kubernetes.io/name"];
    const key = labels["app"] === undefined ? "app.kubernetes.io/name" : "app";
    const pods = app === undefined ? "podSelector: {}" : `podSelector: { matchLabels: { ${key}: ${app} } }`;
    const home = `namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: ${namespace} } }`;
    return namespace === to.namespace ? `    - ${pods}\n` : `    - ${home}\n      ${pods}\n`;
  });
  const selector = Object.entries(to.selector).map(([key, value]) => `${key}: ${value}`);
  return `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: ${to.name}, namespace: ${to.namespace} }
spec:
  podSelector: { matchLabels: { ${selector.join(", ")} } }
  policyTypes: [Ingress]
  ingress:
  - from:
${[...new Set(from)].join("")}`;
}

export function ownMetrics(facts: Facts): Alternative {
  const { namespace, name, selector } = mostCalled(facts);
  const labels = Object.entries(selector).map(([key, value]) => `${key}: ${value}`);
  return {
    name: "Prometheus and the application's own metrics",
    manifest: `apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  selector: { matchLabels: { ${labels.join(", ")} } }
  podMetricsEndpoints: [{ path: /metrics, port: http }]
`,
  };
}

function mostCalled({ calls, services }: Facts): AppService {
  const counted = [...Map.groupBy(calls, ({ to }) => to)].sort(([, a], [, b]) => b.length - a.length);
  return counted[0]?.[0] ?? services[0] ?? SOMETHING;
}
