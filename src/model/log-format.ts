// The formats of access logs, as MeshConfig gives them; one that no proxy could take gives way to Istio's default.

import { type Issue, warningIssue } from "../api/issue.ts";
import type { MeshSettings } from "../api/istio/mesh-config.ts";
import { isRecord, parseJson } from "../base/json.ts";
import { compileFormat, compileJsonFormat } from "../observe/format.ts";

/** A text format, or a tree of formats that becomes JSON. */
export type LogFormat =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "json"; readonly labels: Readonly<Record<string, unknown>> };

type Provider = NonNullable<MeshSettings["extensionProviders"]>[number];

/** Undefined: Istio's default text. */
export function fileFormat(format: NonNullable<Provider["envoyFileAccessLog"]>["logFormat"]): LogFormat | undefined {
  if (format?.labels !== undefined) return known({ kind: "json", labels: format.labels });
  return textFormat(format?.text ?? "");
}

export function meshFormat({ accessLogEncoding, accessLogFormat }: MeshSettings): LogFormat | undefined {
  if (accessLogEncoding !== "JSON") return textFormat(accessLogFormat ?? "");
  const parsed = parseJson(accessLogFormat ?? "");
  const labels = parsed.ok && isRecord(parsed.value) ? parsed.value : DEFAULT_LABELS;
  return known({ kind: "json", labels }) ?? { kind: "json", labels: DEFAULT_LABELS };
}

/** Formats of MeshConfig that no proxy could take. */
export function logFormatIssues(settings: MeshSettings): readonly Issue[] {
  const { accessLogEncoding, accessLogFormat = "", extensionProviders = [] } = settings;
  const own =
    accessLogEncoding === "JSON" ? jsonProblem(accessLogFormat) : problemOf({ kind: "text", text: accessLogFormat });
  const issues = own === undefined ? [] : [warningIssue("accessLogFormat", `${own}; the default format is written`)];
  for (const [i, { envoyFileAccessLog: file }] of extensionProviders.entries()) {
    const { text = "", labels } = file?.logFormat ?? {};
    const problem = problemOf(labels === undefined ? { kind: "text", text } : { kind: "json", labels });
    const path = `extensionProviders[${i}].envoyFileAccessLog.logFormat`;
    if (problem !== undefined) issues.push(warningIssue(path, `${problem}; the default format is written`));
  }
  return issues;
}

function jsonProblem(text: string): string | undefined {
  if (text === "") return undefined;
  const parsed = parseJson(text);
  if (!parsed.ok) return parsed.error;
  return isRecord(parsed.value) ? problemOf({ kind: "json", labels: parsed.value }) : "it is not a JSON object";
}

function textFormat(text: string): LogFormat | undefined {
  if (text === "") return undefined;
  return known({ kind: "text", text: text.endsWith("\n") ? text : `${text}\n` });
}

function known(format: LogFormat): LogFormat | undefined {
  return problemOf(format) === undefined ? format : undefined;
}

function problemOf(format: LogFormat): string | undefined {
  const compiled = format.kind === "text" ? compileFormat(format.text) : compileJsonFormat(format.labels);
  return compiled.ok ? undefined : compiled.error;
}

/** Istio's fields of a JSON log. */
const DEFAULT_LABELS: Readonly<Record<string, string>> = {
  authority: "%REQ(:AUTHORITY)%",
  bytes_received: "%BYTES_RECEIVED%",
  bytes_sent: "%BYTES_SENT%",
  connection_termination_details: "%CONNECTION_TERMINATION_DETAILS%",
  downstream_local_address: "%DOWNSTREAM_LOCAL_ADDRESS%",
  downstream_remote_address: "%DOWNSTREAM_REMOTE_ADDRESS%",
  duration: "%DURATION%",
  method: "%REQ(:METHOD)%",
  path: "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
  protocol: "%PROTOCOL%",
  request_id: "%REQ(X-REQUEST-ID)%",
  requested_server_name: "%REQUESTED_SERVER_NAME%",
  response_code: "%RESPONSE_CODE%",
  response_code_details: "%RESPONSE_CODE_DETAILS%",
  response_flags: "%RESPONSE_FLAGS%",
  route_name: "%ROUTE_NAME%",
  start_time: "%START_TIME%",
  upstream_cluster: "%UPSTREAM_CLUSTER_RAW%",
  upstream_host: "%UPSTREAM_HOST%",
  upstream_local_address: "%UPSTREAM_LOCAL_ADDRESS%",
  upstream_service_time: "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
  upstream_transport_failure_reason: "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
  user_agent: "%REQ(USER-AGENT)%",
  x_forwarded_for: "%REQ(X-FORWARDED-FOR)%",
};
