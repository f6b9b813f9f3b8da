// What the proxies themselves say of a service: their certificates, and whom its callers have ejected.

import { isRecord, parseJson } from "../base/json.ts";
import type { Result } from "../base/result.ts";
import type { Endpoint } from "../model/endpoint.ts";
import type { Service } from "../model/service.ts";
import { type RecentRequest, readRecentRequests } from "../observe/recent-request.ts";
import type { Connection } from "../serve/server.ts";
import type { Edge, TrafficView } from "../traffic/query.ts";
import { FAILURES_MAX, PROXIES_ASKED_MAX } from "./limits.ts";
import type { CertificateRow, FailureRow } from "./shapes.ts";

export interface PodName {
  readonly namespace: string;
  readonly pod: string;
}

/** An answer of a proxy's admin interface. */
export type ProxyAsk = (pod: PodName, path: string) => Promise<Result<string, string>>;

export interface Asked {
  readonly certificates: readonly CertificateRow[];
  /** By `address:port`: names of the callers' pods. */
  readonly ejectedBy: ReadonlyMap<string, readonly string[]>;
  /** How many callers were asked. */
  readonly callers: number;
  readonly failures: readonly FailureRow[];
}

interface AskInput {
  readonly ask: ProxyAsk;
  readonly connections: () => readonly Connection[];
  readonly traffic: TrafficView;
}

const CALLERS_SECONDS = 300;

export async function askProxies(input: AskInput, service: Service, endpoints: readonly Endpoint[]): Promise<Asked> {
  const own = uniquePods(endpoints.filter(({ hasSidecar }) => hasSidecar)).slice(0, PROXIES_ASKED_MAX);
  const calls = input.traffic.calls(CALLERS_SECONDS).filter((call) => call.service === service.host);
  const callers = callersOf(calls, input.connections()).slice(0, PROXIES_ASKED_MAX);
  const [certificates, ejections, inbound, outbound] = await Promise.all([
    Promise.all(own.map((pod) => certificateOf(input.ask, pod))),
    Promise.all(callers.map((pod) => ejectionsAt(input.ask, pod, service.host))),
    Promise.all(own.map((pod) => failedAt(input.ask, pod))),
    Promise.all(callers.map((pod) => failedAt(input.ask, pod))),
  ]);
  const ejectedBy = new Map<string, string[]>();
  for (const [index, addresses] of ejections.entries()) {
    for (const address of addresses ?? []) {
      ejectedBy.set(address, [...(ejectedBy.get(address) ?? []), callers[index]?.pod ?? ""]);
    }
  }
  return {
    certificates,
    ejectedBy,
    callers: ejections.filter((each) => each !== undefined).length,
    failures: failuresOf(service.host, inbound.flat(), outbound.flat()),
  };
}

function uniquePods(endpoints: readonly Endpoint[]): readonly PodName[] {
  const pods = new Map(endpoints.map(({ namespace, pod }) => [`${namespace}/${pod}`, { namespace, pod }]));
  return [...pods.values()].filter(({ pod }) => pod !== "");
}

function callersOf(calls: readonly Edge[], connections: readonly Connection[]): readonly PodName[] {
  const apps = new Set(calls.map(({ source }) => `${source.namespace}/${source.app}`));
  return connections
    .filter(({ proxy }) => apps.has(`${proxy.namespace}/${appOf(proxy.labels)}`))
    .map(({ proxy }) => ({ namespace: proxy.namespace, pod: proxy.pod }));
}

/** As Istio finds the canonical service. */
export function appOf(labels: Readonly<Record<string, string>>): string | undefined {
  return labels["service.istio.io/canonical-name"] ?? labels["app.kubernetes.io/name"] ?? labels["app"];
}

async function certificateOf(ask: ProxyAsk, pod: PodName): Promise<CertificateRow> {
  const empty = { pod: pod.pod, identity: "", notBefore: "", notAfter: "", serial: "" };
  const answer = await ask(pod, "/certs");
  if (!answer.ok) return { ...empty, problem: answer.error };
  const parsed = parseJson(answer.value);
  const all = parsed.ok
    ? list(parsed.value, "certificates").flatMap((each) => list(each, "cert_chain").slice(0, 1))
    : [];
  const leaf = all.find((each) => identityOf(each) !== "");
  if (leaf === undefined) return { ...empty, problem: "its proxy has no certificate yet" };
  return {
    pod: pod.pod,
    identity: identityOf(leaf),
    notBefore: text(leaf, "valid_from"),
    notAfter: text(leaf, "expiration_time"),
    serial: text(leaf, "serial_number"),
    problem: "",
  };
}

function identityOf(certificate: unknown): string {
  return (
    list(certificate, "subject_alt_names")
      .map((each) => text(each, "uri"))
      .find((uri) => uri !== "") ?? ""
  );
}

interface Remembered {
  readonly pod: string;
  readonly request: RecentRequest;
}

async function failedAt(ask: ProxyAsk, pod: PodName): Promise<readonly Remembered[]> {
  const answer = await ask(pod, `/weft/requests?failed&limit=${FAILURES_MAX}`);
  const parsed = answer.ok ? parseJson(answer.value) : undefined;
  const recent = parsed?.ok === true ? readRecentRequests(parsed.value) : undefined;
  return recent?.requests.map((request) => ({ pod: pod.pod, request })) ?? [];
}

/** A request that both sides remember is told once: with the cause by whoever knows it, and the caller's name for itself. */
function failuresOf(
  host: string,
  inbound: readonly Remembered[],
  outbound: readonly Remembered[],
): readonly FailureRow[] {
  const causes = new Map(inbound.map(({ request }) => [request.requestId, causeOf(request)]));
  const called = outbound.filter(({ request }) => request.cluster.endsWith(`|${host}`));
  const known = new Set(called.map(({ request }) => request.requestId));
  const seen = [
    ...called.map((one) => failureRow(one, causeOf(one.request) || (causes.get(one.request.requestId) ?? ""))),
    ...inbound
      .filter(({ request }) => request.direction === "inbound" && !known.has(request.requestId))
      .map((one) => failureRow(one, causeOf(one.request))),
  ];
  const alike = Map.groupBy(seen, ({ from, method, path, code, flags, cause }) =>
    [from, method, path, code, flags, cause].join("\0"),
  );
  return [...alike.values()]
    .flatMap((group) => {
      const last = group.toSorted((a, b) => b.atMs - a.atMs)[0];
      return last === undefined ? [] : [{ ...last, count: group.length }];
    })
    .sort((a, b) => b.atMs - a.atMs)
    .slice(0, FAILURES_MAX);
}

/** That the other side answered tells nothing. */
function causeOf({ cause, transportFailure, details }: RecentRequest): string {
  return cause || transportFailure || (details === "via_upstream" ? "" : details);
}

function failureRow({ pod, request }: Remembered, cause: string): FailureRow {
  const { code, flags, method, path, traceId, source, direction, endTimeMs } = request;
  const caller = source.identity.replace(/^spiffe:\/\/[^/]+\//, "") || source.address;
  return {
    atMs: endTimeMs,
    count: 1,
    from: direction === "outbound" ? pod : caller,
    ...{ method, path, code, flags, cause, traceId },
  };
}

/** Addresses that this proxy keeps out; undefined where it doesn't answer. */
async function ejectionsAt(ask: ProxyAsk, pod: PodName, host: string): Promise<readonly string[] | undefined> {
  const filter = encodeURIComponent(`\\|${host.replaceAll(".", "\\.")}$`);
  const answer = await ask(pod, `/clusters?format=json&filter=${filter}`);
  if (!answer.ok) return undefined;
  const parsed = parseJson(answer.value);
  const hosts = parsed.ok ? list(parsed.value, "cluster_statuses").flatMap((each) => list(each, "host_statuses")) : [];
  const ejected = hosts.filter((each) => {
    const health = isRecord(each) ? each["health_status"] : undefined;
    return isRecord(health) && health["failed_outlier_check"] === true;
  });
  return [...new Set(ejected.map(addressOf))];
}

function addressOf(host: unknown): string {
  const address = isRecord(host) ? host["address"] : undefined;
  const socket = isRecord(address) ? address["socket_address"] : undefined;
  return isRecord(socket) ? `${String(socket["address"])}:${String(socket["port_value"])}` : "";
}

function list(value: unknown, key: string): readonly unknown[] {
  const inner = isRecord(value) ? value[key] : undefined;
  return Array.isArray(inner) ? inner : [];
}

function text(value: unknown, key: string): string {
  const inner = isRecord(value) ? value[key] : undefined;
  return typeof inner === "string" ? inner : "";
}
