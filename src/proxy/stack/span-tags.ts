// What a span says of its request: Envoy's tags, in Envoy's words, and those that the configuration adds.

import { isRecord } from "../../base/json.ts";
import type { AccessRecord } from "../../observe/access-record.ts";
import type { TagConfig } from "../compile/tracing.ts";
import type { HttpStream } from "./http-stream.ts";

export interface TagsAbout {
  readonly nodeId: string;
  readonly zone: string;
  readonly pathLengthMax: number;
  readonly tags: readonly TagConfig[];
}

/** Flat: name, value, name, value, … */
export function requestTags(stream: HttpStream, record: AccessRecord, about: TagsAbout): string[] {
  const { head, connection } = stream;
  const { headers } = head;
  const path = headers.get("x-envoy-original-path") ?? head.path;
  const tags = [
    "component",
    "proxy",
    "node_id",
    about.nodeId,
    "guid:x-request-id",
    headers.get("x-request-id") ?? "",
    "http.url",
    `${head.scheme}://${head.authority}${path.slice(0, about.pathLengthMax)}`,
    "http.method",
    head.method,
    "downstream_cluster",
    headers.get("x-envoy-downstream-service-cluster") ?? "-",
    "user_agent",
    headers.get("user-agent") ?? "-",
    "http.protocol",
    record.protocol ?? "-",
    "peer.address",
    connection.info.remoteIp,
    "request_size",
    String(stream.bytesReceived),
  ];
  if (about.zone !== "") tags.push("zone", about.zone);
  const clientTrace = headers.get("x-client-trace-id");
  if (clientTrace !== undefined) tags.push("guid:x-client-trace-id", clientTrace);
  addGrpc(stream, tags);
  addOutcome(record, tags);
  addConfigured(stream, record, about.tags, tags);
  return tags;
}

function addGrpc({ head }: HttpStream, tags: string[]): void {
  const contentType = head.headers.get("content-type") ?? "";
  if (!/^application\/grpc($|[+;])/.test(contentType)) return;
  tags.push("grpc.path", head.path, "grpc.authority", head.authority, "grpc.content_type", contentType);
  const timeout = head.headers.get("grpc-timeout");
  if (timeout !== undefined) tags.push("grpc.timeout", timeout);
}

function addOutcome(record: AccessRecord, tags: string[]): void {
  const cluster = record.upstreamCluster;
  if (cluster !== undefined) tags.push("upstream_cluster", cluster, "upstream_cluster.name", cluster);
  tags.push("http.status_code", String(record.responseCode), "response_size", String(record.bytesSent));
  tags.push("response_flags", record.responseFlags || "-");
  if (isError(record.responseCode)) tags.push("error", "true");
}

/** No answer, or one that says that the server failed. */
export function isError(status: number): boolean {
  return status === 0 || status >= 500;
}

function addConfigured(stream: HttpStream, record: AccessRecord, general: readonly TagConfig[], tags: string[]): void {
  const own = stream.route?.tracing?.tags ?? NONE;
  // Of two with one name the route's holds.
  for (const tag of general) if (!own.some(({ name }) => name === tag.name)) addTag(stream, record, tag, tags);
  for (const tag of own) addTag(stream, record, tag, tags);
}

function addTag(stream: HttpStream, record: AccessRecord, tag: TagConfig, tags: string[]): void {
  const value = tagValue(stream, record, tag);
  if (value !== "") tags.push(tag.name, value);
}

function tagValue({ head }: HttpStream, record: AccessRecord, tag: TagConfig): string {
  switch (tag.kind) {
    case "literal":
      return tag.value;
    case "environment":
      return process.env[tag.variable] ?? tag.absent;
    case "header":
      return head.headers.get(tag.header) ?? tag.absent;
    case "format":
      return tag.write(record);
    case "metadata": {
      const read = tag.from === "request" ? record.dynamicMetadata : record.routeMetadata;
      const value = walk(read?.call(record, tag.namespace), tag.path);
      if (value === undefined || value === null) return tag.absent;
      return typeof value === "string" ? value : JSON.stringify(value);
    }
  }
}

function walk(root: unknown, path: readonly string[]): unknown {
  let value = root;
  for (const key of path) value = isRecord(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  return value;
}

const NONE: readonly TagConfig[] = [];
