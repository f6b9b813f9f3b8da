// Asking an authorizer over gRPC: the request's attributes, and a decision with what is to change. Loaded when it is configured.

import {
  type HeaderValueOption,
  HeaderValueOption_HeaderAppendAction,
} from "../../proto/gen/envoy/config/core/v3/base.ts";
import type { AttributeContext_Peer } from "../../proto/gen/envoy/service/auth/v3/attribute_context.ts";
import { CheckRequest, CheckResponse } from "../../proto/gen/envoy/service/auth/v3/external_auth.ts";
import type { BodyConfig, ExtAuthzConfig, HeaderPair } from "../compile/ext-authz.ts";
import { type AuthzAnswer, type HeaderEdit, isFraming } from "./authz-answer.ts";
import type { ClientInfo, Exchange } from "./filter.ts";

export interface GrpcQuestion {
  readonly exchange: Exchange;
  readonly config: ExtAuthzConfig;
  readonly body: { readonly bytes: Buffer; readonly isComplete: boolean; readonly how: BodyConfig } | undefined;
  readonly contextExtensions: Readonly<Record<string, string>>;
  readonly wallMs: number;
}

export const CHECK_PATH = "/envoy.service.auth.v3.Authorization/Check";

export function encodeCheck(question: GrpcQuestion): Buffer {
  const { exchange, config, body, contextExtensions, wallMs } = question;
  const { head, client } = exchange;
  const text = body === undefined || body.how.asBytes ? "" : body.bytes.toString("utf8");
  const request = CheckRequest.fromPartial({
    attributes: {
      source: peerOf(client, "source", config.peerCertificate),
      destination: peerOf(client, "destination", config.peerCertificate),
      request: {
        time: new Date(wallMs),
        http: {
          id: head.headers.get("x-request-id") ?? "",
          method: head.method,
          headers: headersOf(question),
          path: head.path,
          host: head.authority,
          scheme: head.scheme,
          size: Number(head.headers.get("content-length") ?? -1),
          protocol: head.http10 ? "HTTP/1.0" : "HTTP/1.1",
          body: text,
          ...(body?.how.asBytes === true ? { rawBody: body.bytes } : {}),
        },
      },
      contextExtensions: { ...contextExtensions },
      metadataContext: {
        filterMetadata: structs(config.metadataNamespaces, (name) => exchange.subject.metadata(name)),
      },
      routeMetadataContext: {
        filterMetadata: structs(config.routeMetadataNamespaces, (name) => exchange.subject.routeMetadata(name)),
      },
      ...(config.tlsSession && client.serverName !== "" ? { tlsSession: { sni: client.serverName } } : {}),
    },
  });
  return Buffer.from(CheckRequest.encode(request).finish());
}

export function decodeCheck(message: Buffer): AuthzAnswer {
  const response = decoded(message);
  if (response === undefined) return { kind: "error", reason: "the authorizer's answer is no CheckResponse" };
  const metadata = response.dynamicMetadata;
  const answer = response.httpResponse;
  if ((response.status?.code ?? 0) !== 0 || answer?.$case === "deniedResponse") {
    const denied = answer?.$case === "deniedResponse" ? answer.value : undefined;
    if (answer?.$case === "errorResponse") return { kind: "error", reason: "the authorizer could not decide" };
    return {
      kind: "denied",
      status: denied?.status?.code || 403,
      headers: pairsOf(denied?.headers ?? []),
      body: denied?.body ?? "",
      metadata,
    };
  }
  const granted = answer?.$case === "okResponse" ? answer.value : undefined;
  return {
    kind: "granted",
    headers: editsOf(granted?.headers ?? [], "set"),
    headersToRemove: (granted?.headersToRemove ?? [])
      .map((name) => name.toLowerCase())
      .filter((name) => !isFraming(name)),
    responseHeaders: editsOf(granted?.responseHeadersToAdd ?? [], "add"),
    queryToSet: (granted?.queryParametersToSet ?? []).map(({ key, value }) => ({ name: key, value })),
    queryToRemove: granted?.queryParametersToRemove ?? [],
    metadata: metadata ?? granted?.dynamicMetadata,
  };
}

function decoded(message: Buffer): CheckResponse | undefined {
  try {
    return CheckResponse.decode(message);
  } catch {
    return undefined;
  }
}

function headersOf(question: GrpcQuestion): Record<string, string> {
  const { config, body } = question;
  const { head } = question.exchange;
  const headers: Record<string, string> = {};
  const tell = (name: string, value: string) => {
    if (config.disallowedHeaders(name) || config.allowedHeaders?.(name) === false) return;
    headers[name] = headers[name] === undefined ? value : `${headers[name]},${value}`;
  };
  for (const name of [":method", ":path", ":authority", ":scheme"]) tell(name, head.get(name) ?? "");
  const { raw } = head.headers;
  for (let at = 0; at < raw.length; at += 2) tell(raw[at] ?? "", raw[at + 1] ?? "");
  if (body !== undefined) headers["x-envoy-auth-partial-body"] = String(!body.isComplete);
  return headers;
}

function peerOf(
  client: ClientInfo,
  side: "source" | "destination",
  withCertificate: boolean,
): Partial<AttributeContext_Peer> {
  const address = side === "source" ? client.remoteAddress : client.localAddress;
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[|\]$/g, "");
  const principal = side === "source" ? (client.principals[0] ?? "") : (client.localUri ?? "");
  const certificate = side === "source" && withCertificate ? client.peer?.certificate.toString() : undefined;
  return {
    address: {
      address: {
        $case: "socketAddress",
        value: {
          protocol: 0,
          address: host,
          portSpecifier: { $case: "portValue", value: Number(address.slice(colon + 1)) },
          resolverName: "",
          ipv4Compat: false,
        },
      },
    },
    principal,
    certificate: certificate === undefined ? "" : encodeURIComponent(certificate),
  };
}

function structs(names: readonly string[], from: (name: string) => unknown): Record<string, Record<string, unknown>> {
  const found: Record<string, Record<string, unknown>> = {};
  for (const name of names) {
    const struct = from(name);
    if (typeof struct === "object" && struct !== null) found[name] = { ...struct };
  }
  return found;
}

function pairsOf(options: readonly HeaderValueOption[]): readonly HeaderPair[] {
  return options.flatMap(({ header }) => {
    const name = header?.key.toLowerCase() ?? "";
    const value =
      header === undefined || header.rawValue.length === 0 ? header?.value : header.rawValue.toString("latin1");
    return isFraming(name) ? [] : [{ name, value: value ?? "" }];
  });
}

function editsOf(options: readonly HeaderValueOption[], usual: "set" | "add"): readonly HeaderEdit[] {
  return options.flatMap((option) => pairsOf([option]).map((pair) => ({ ...pair, how: howOf(option, usual) })));
}

function howOf(option: HeaderValueOption, usual: "set" | "add"): HeaderEdit["how"] {
  if (option.append === false) return "set";
  if (option.append === true) return usual === "add" ? "add" : "append";
  // Of the request's headers Envoy asks for nothing but that.
  if (usual === "set") return "set";
  switch (option.appendAction) {
    case HeaderValueOption_HeaderAppendAction.ADD_IF_ABSENT:
      return "add-if-absent";
    case HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD:
      return "set";
    case HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS:
      return "set-if-exists";
    default:
      return usual;
  }
}
