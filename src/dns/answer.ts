// What is known of a name, as the answer to a question about it. Pure.

import { isIPv4, isIPv6 } from "node:net";
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

export type NameAnswer =
  /** `zone`: whose word it is that there is nothing else. */
  | { readonly kind: "known"; readonly addresses: readonly string[]; readonly zone: string }
  | { readonly kind: "missing"; readonly zone: string }
  /** To be asked elsewhere. */
  | { readonly kind: "foreign" };

type OwnAnswer = Exclude<NameAnswer, { kind: "foreign" }>;

export function answerQuestion(query: DnsMessage, question: Question, answer: OwnAnswer): DnsMessage {
  const known = answer.kind === "known";
  const addresses = known ? answer.addresses.filter((ip) => isOfType(ip, question.type)) : [];
  const answers = addresses.slice(0, ADDRESSES_MAX).map((ip) => addressRecord(question.name, ip));
  return {
    ...emptyResponse(query, known ? responseCode.NOERROR : responseCode.NXDOMAIN),
    authoritative: true,
    answers,
    // Without it a resolver doesn't know for how long it may take the absence for true.
    authorities: answers.length === 0 ? [zoneRecord(answer.zone)] : [],
  };
}

function isOfType(ip: string, type: number): boolean {
  if (type === recordType.A) return isIPv4(ip);
  return type === recordType.AAAA ? isIPv6(ip) : type === recordType.ANY;
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

function addressRecord(name: string, ip: string): DnsRecord {
  const type = isIPv6(ip) ? recordType.AAAA : recordType.A;
  return { name, type, class: CLASS_IN, ttlSeconds: TTL_SECONDS, data: addressData(ip) };
}

function zoneRecord(zone: string): DnsRecord {
  const data = zoneData(zone, TTL_SECONDS);
  return { name: zone, type: recordType.SOA, class: CLASS_IN, ttlSeconds: TTL_SECONDS, data };
}
