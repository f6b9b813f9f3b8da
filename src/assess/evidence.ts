// What in the objects shows that something is needed, or there already: each a sentence with names in it.

import type { KubeObject } from "../api/object.ts";
import type { AppWorkload } from "./app.ts";
import type { Facts } from "./facts.ts";
import { EVIDENCE_NAMED_MAX } from "./limits.ts";
import { textAt, treeAt, treesAt } from "./tree.ts";

/** `Deployment shop/api, shop/web and 3 more`. */
function named(objects: readonly { readonly namespace: string; readonly name: string }[]): string {
  const texts = objects.map(({ namespace, name }) => `${namespace}/${name}`);
  const shown = texts.slice(0, EVIDENCE_NAMED_MAX).join(", ");
  return texts.length > EVIDENCE_NAMED_MAX ? `${shown} and ${texts.length - EVIDENCE_NAMED_MAX} more` : shown;
}

function ofKind({ objects }: Facts, ...kinds: readonly string[]): readonly KubeObject[] {
  return objects.filter(({ kind }) => kinds.includes(kind));
}

function refs(objects: readonly KubeObject[]) {
  return objects.map(({ metadata }) => ({ namespace: metadata.namespace ?? "default", name: metadata.name }));
}

/** `1 workload`, `3 workloads`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** None where there are none. */
function says(count: number, text: string): readonly string[] {
  return count === 0 ? [] : [text];
}

export function tlsEvidence(facts: Facts): readonly string[] {
  const secrets = new Set(
    ofKind(facts, "Secret")
      .filter((each) => textAt(each, "type") === "kubernetes.io/tls")
      .map(({ metadata }) => `${metadata.namespace ?? "default"}/${metadata.name}`),
  );
  const holders = facts.workloads.filter(({ namespace, spec }) =>
    treesAt(spec, "volumes").some((volume) => {
      const name = textAt(treeAt(volume, "secret"), "secretName");
      return secrets.has(`${namespace}/${name}`) || /(^|-)(m?tls|cert|certs|certificate)(-|$)/.test(name);
    }),
  );
  const encrypted = facts.calls.filter(({ isTls }) => isTls).map(({ from }) => from);
  const policies = ofKind(facts, "PeerAuthentication");
  return [
    ...says(
      holders.length,
      `${counted(holders.length, "workload holds", "workloads hold")} a TLS certificate of their own: ${named(holders)}`,
    ),
    ...says(
      encrypted.length,
      `${counted(encrypted.length, "call between services says", "calls between services say")} https themselves: ${named(encrypted)}`,
    ),
    ...says(policies.length, `PeerAuthentication ${named(refs(policies))} asks for it`),
  ];
}

export function canaryEvidence(facts: Facts): readonly string[] {
  const rollouts = ofKind(facts, "Rollout", "Canary");
  const split = ofKind(facts, "VirtualService").filter((each) =>
    treesAt(treeAt(each, "spec"), "http").some((route) => treesAt(route, "route").length > 1),
  );
  const services = facts.versions.map(({ service }) => service);
  return [
    ...says(
      services.length,
      `${counted(services.length, "service runs", "services run")} in more than one version: ${named(services)}`,
    ),
    ...says(rollouts.length, `${rollouts[0]?.kind} ${named(refs(rollouts))} does it already`),
    ...says(split.length, `VirtualService ${named(refs(split))} splits requests`),
  ];
}

const RESILIENCE =
  /(^|_)(TIMEOUT|TIMEOUT_MS|RETRIES|RETRY|MAX_RETRIES|CIRCUIT_BREAKER|HYSTRIX|RESILIENCE4J|POLLY)(_|$)/;

export function breakingEvidence(facts: Facts): readonly string[] {
  const tuned = withVariable(facts, RESILIENCE);
  const rules = ofKind(facts, "DestinationRule").filter((each) => {
    const policy = treeAt(treeAt(each, "spec"), "trafficPolicy");
    return "outlierDetection" in policy || "connectionPool" in policy;
  });
  return [
    ...says(
      tuned.length >= 3 ? 1 : 0,
      `${tuned.length} workloads set timeouts, retries or breakers each for itself: ${named(tuned)}`,
    ),
    ...says(rules.length, `DestinationRule ${named(refs(rules))} limits or ejects`),
    ...says(
      facts.depth >= 4 ? 1 : 0,
      `one request goes through up to ${facts.depth} services in a row, so one slow one holds up all`,
    ),
  ];
}

export function tracingEvidence(facts: Facts): readonly string[] {
  const traced = withVariable(facts, /^(OTEL_|JAEGER_|ZIPKIN_)/);
  const tracers = ofKind(facts, "Telemetry").filter((each) => treesAt(treeAt(each, "spec"), "tracing").length > 0);
  const instrumented = ofKind(facts, "Instrumentation", "OpenTelemetryCollector");
  return [
    ...says(facts.depth >= 3 ? 1 : 0, `one request goes through up to ${facts.depth} services in a row`),
    ...says(
      traced.length,
      `${counted(traced.length, "workload is", "workloads are")} set up to trace: ${named(traced)}`,
    ),
    ...says(tracers.length, `Telemetry ${named(refs(tracers))} turns tracing on`),
    ...says(instrumented.length, `${instrumented[0]?.kind} ${named(refs(instrumented))}`),
  ];
}

export function accessEvidence(facts: Facts): readonly string[] {
  const network = ofKind(facts, "NetworkPolicy");
  const policies = ofKind(facts, "AuthorizationPolicy");
  const across = facts.calls.filter(({ from, to }) => from.namespace !== to.namespace).map(({ from }) => from);
  return [
    ...says(network.length, `${counted(network.length, "NetworkPolicy", "NetworkPolicies")}: ${named(refs(network))}`),
    ...says(policies.length, `AuthorizationPolicy ${named(refs(policies))}`),
    ...says(
      across.length,
      `${counted(across.length, "call crosses", "calls cross")} a namespace: from ${named(across)}`,
    ),
  ];
}

export function metricsEvidence(facts: Facts): readonly string[] {
  const scraped = facts.workloads.filter(({ annotations }) => annotations["prometheus.io/scrape"] === "true");
  const monitors = ofKind(facts, "ServiceMonitor", "PodMonitor");
  const blind = facts.workloads.length - scraped.length;
  const isBlind = facts.services.length >= 10 && monitors.length === 0 && blind > facts.workloads.length / 2;
  return [
    ...says(isBlind ? 1 : 0, `${blind} of ${facts.workloads.length} workloads offer no metrics of their own`),
    ...says(
      scraped.length,
      `${counted(scraped.length, "workload offers", "workloads offer")} metrics: ${named(scraped)}`,
    ),
    ...says(monitors.length, `${monitors[0]?.kind} ${named(refs(monitors))}`),
  ];
}

export function alertingEvidence(facts: Facts): readonly string[] {
  const rules = ofKind(facts, "PrometheusRule", "Alertmanager", "AlertmanagerConfig");
  return says(rules.length, `${rules[0]?.kind} ${named(refs(rules))}`);
}

function withVariable({ workloads }: Facts, name: RegExp): readonly AppWorkload[] {
  return workloads.filter(({ variables }) => variables.some((variable) => name.test(variable.name)));
}
