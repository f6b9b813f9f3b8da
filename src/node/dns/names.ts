// The mesh's names: services and pods of the cluster's domain, to addresses. Pure.

import type { ServiceRoute } from "../sandbox.ts";
import { ADDRESSES_MAX, TTL_SECONDS } from "./limits.ts";
import {
  addressData,
  CLASS_IN,
  type DnsMessage,
  type DnsRecord,
  type Question,
  recordType,
  responseCode,
  zoneData,
} from "./message.ts";

export interface NameTable {
  readonly domain: string;
  /** `api.production` to its addresses: the service's own, or the pods' of a headless one; `db-0.db.production` to the pod's. */
  readonly services: ReadonlyMap<string, readonly string[]>;
  readonly namespaces: ReadonlySet<string>;
}

export type NameAnswer =
  | { readonly kind: "known"; readonly addresses: readonly string[] }
  | { readonly kind: "missing" }
  /** Not the mesh's: to be asked elsewhere. */
  | { readonly kind: "foreign" };

export function nameTable(routes: readonly ServiceRoute[], domain = "cluster.local"): NameTable {
  const services = new Map<string, readonly string[]>();
  for (const route of routes) {
    const headless = route.clusterIP === "" || route.clusterIP === "None";
    const key = `${route.name}.${route.namespace}`;
    for (const { name, ip } of route.hosts ?? []) services.set(`${name}.${key}`, [ip]);
    services.set(key, headless ? route.addresses : [route.clusterIP]);
  }
  return { domain, services, namespaces: new Set(routes.map(({ namespace }) => namespace)) };
}

/** Names are compared without regard to case; the empty ones in between (`svc.cluster.local`) exist, without address. */
export function resolveName(table: NameTable, asked: string): NameAnswer {
  const name = asked.toLowerCase().replace(/\.$/, "");
  if (name === "localhost") return { kind: "known", addresses: ["127.0.0.1"] };
  const reverse = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\.in-addr\.arpa$/.exec(name);
  if (reverse !== null) return { kind: "missing" };
  if (name === table.domain) return { kind: "known", addresses: [] };
  if (!name.endsWith(`.${table.domain}`)) return { kind: name.includes(".") ? "foreign" : "missing" };
  const labels = name.slice(0, -table.domain.length - 1).split(".");
  const kind = labels.pop();
  if (kind === "svc") return resolveService(table, labels);
  if (kind === "pod") return resolvePod(labels);
  return { kind: "missing" };
}

/** The whole answer to a question about the mesh's own names. */
export function answerQuestion(query: DnsMessage, question: Question, answer: NameAnswer): DnsMessage {
  const known = answer.kind === "known";
  const wanted = known && (question.type === recordType.A || question.type === recordType.ANY);
  const answers = wanted ? answer.addresses.slice(0, ADDRESSES_MAX).map((ip) => addressRecord(question.name, ip)) : [];
  return {
    ...emptyResponse(query, known ? responseCode.NOERROR : responseCode.NXDOMAIN),
    authoritative: true,
    answers,
    // Without it a resolver doesn't know for how long it may take the absence for true.
    authorities: answers.length === 0 ? [zoneRecord("cluster.local")] : [],
  };
}

export function emptyResponse(query: DnsMessage, code: number): DnsMessage {
  return {
    id: query.id,
    response: true,
    opcode: query.opcode,
    authoritative: false,
    truncated: false,
    recursionDesired: query.recursionDesired,
    recursionAvailable: true,
    responseCode: code,
    questions: query.questions,
    answers: [],
    authorities: [],
    additionals: [],
  };
}

function resolveService(table: NameTable, labels: readonly string[]): NameAnswer {
  if (labels.length === 0) return { kind: "known", addresses: [] };
  if (labels.length === 1) return { kind: table.namespaces.has(labels[0] ?? "") ? "known" : "missing", addresses: [] };
  const addresses = table.services.get(labels.join("."));
  return addresses === undefined ? { kind: "missing" } : { kind: "known", addresses };
}

/** `10-244-0-7.production.pod.cluster.local`: the address is in the name, as Kubernetes' DNS has it. */
function resolvePod(labels: readonly string[]): NameAnswer {
  const [dashed = ""] = labels;
  if (labels.length !== 2 || !/^\d{1,3}(-\d{1,3}){3}$/.test(dashed)) return { kind: "missing" };
  const parts = dashed.split("-").map(Number);
  return parts.every((part) => part <= 255) ? { kind: "known", addresses: [parts.join(".")] } : { kind: "missing" };
}

function addressRecord(name: string, ip: string): DnsRecord {
  return { name, type: recordType.A, class: CLASS_IN, ttlSeconds: TTL_SECONDS, data: addressData(ip) };
}

function zoneRecord(zone: string): DnsRecord {
  const data = zoneData(zone, TTL_SECONDS);
  return { name: zone, type: recordType.SOA, class: CLASS_IN, ttlSeconds: TTL_SECONDS, data };
}
