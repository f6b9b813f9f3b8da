// Two real authorizers: one over HTTP, one over gRPC. The path says what they decide, and their answer tells what they were asked.

import http from "node:http";
import type { AddressInfo } from "node:net";
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from "@grpc/grpc-js";
import { HeaderValueOption } from "../../src/proto/gen/envoy/config/core/v3/base.ts";
import { CheckRequest, CheckResponse } from "../../src/proto/gen/envoy/service/auth/v3/external_auth.ts";
import { method } from "../../src/proto/grpc.ts";

export interface Authorizer {
  readonly httpPort: number;
  readonly grpcPort: number;
  close(): void;
}

export async function startAuthorizer(): Promise<Authorizer> {
  const plain = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => decideHttp(request, Buffer.concat(chunks).toString(), response));
  });
  await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
  const grpc = new Server();
  const check = method({
    path: "/envoy.service.auth.v3.Authorization/Check",
    kind: "unary",
    request: CheckRequest,
    response: CheckResponse,
  });
  grpc.addService(
    { check },
    {
      check: (call: ServerUnaryCall<CheckRequest, CheckResponse>, done: sendUnaryData<CheckResponse>) =>
        decideGrpc(call.request, done),
    },
  );
  const grpcPort = await new Promise<number>((resolve, reject) => {
    grpc.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
  });
  const address: AddressInfo | string | null = plain.address();
  return {
    httpPort: typeof address === "object" && address !== null ? address.port : 0,
    grpcPort,
    close() {
      plain.closeAllConnections();
      plain.close();
      grpc.forceShutdown();
    },
  };
}

function decideHttp(request: http.IncomingMessage, body: string, response: http.ServerResponse): void {
  const path = request.url ?? "";
  const told = Object.keys(request.headers)
    .filter((name) => name.startsWith("x-told") || name === "authorization" || name === "cookie")
    .sort();
  const headers = {
    "x-asked": `${request.method} ${path} ${request.headers.host} ${told.join(",")} ${body}`,
    "x-user": "jane",
    "x-list": "b",
    "x-why": "because",
    location: "/login",
  };
  if (path.includes("/slow")) return;
  if (path.includes("/error")) response.writeHead(500, headers).end("broken");
  else if (path.includes("/deny")) response.writeHead(401, headers).end("no");
  else if (path.includes("/remove"))
    response.writeHead(200, { ...headers, "x-envoy-auth-headers-to-remove": "x-gone, host" }).end();
  else response.writeHead(200, headers).end();
}

const option = (key: string, value: string, more: Record<string, unknown> = {}): HeaderValueOption =>
  HeaderValueOption.fromJSON({ header: { key, value }, ...more });

function decideGrpc(request: CheckRequest, done: sendUnaryData<CheckResponse>): void {
  const http = request.attributes?.request?.http;
  const path = http?.path ?? "";
  const told = Object.keys(http?.headers ?? {})
    .filter((name) => name.startsWith("x-told") || name === ":path" || name.startsWith("x-envoy-auth"))
    .sort();
  const extensions = Object.entries(request.attributes?.contextExtensions ?? {}).map(
    ([key, value]) => `${key}=${value}`,
  );
  const body = http?.body || http?.rawBody.toString() || "";
  const jwt = request.attributes?.metadataContext?.filterMetadata["envoy.filters.http.jwt_authn"];
  const asked = [
    http?.method,
    path,
    http?.host,
    told.join(),
    extensions.join(),
    body,
    JSON.stringify(jwt ?? null).length > 4 ? "jwt" : "",
  ];
  if (path.startsWith("/slow")) return;
  if (path.startsWith("/error")) {
    done({ code: status.INTERNAL, details: "broken" });
    return;
  }
  const denied = path.startsWith("/deny");
  const response = CheckResponse.fromPartial({ status: { code: denied ? 7 : 0, message: "", details: [] } });
  if (path === "/deny") {
    const headers = [option("x-why", "because"), option("x-user", "1")];
    response.httpResponse = { $case: "deniedResponse", value: { status: { code: 402 }, headers, body: "pay" } };
  } else if (!denied) {
    response.dynamicMetadata = { user: "jane" };
    response.httpResponse = {
      $case: "okResponse",
      value: {
        headers: [
          option("x-asked", asked.join(" ")),
          option("x-user", "jane"),
          option("x-list", "b", { append: true }),
          option("x-list-none", "b", { append: true }),
          option("x-list-two", "b", { appendAction: "OVERWRITE_IF_EXISTS_OR_ADD" }),
          option("x-absent", "b", { appendAction: "ADD_IF_ABSENT" }),
          ...(path.startsWith("/bad") ? [option("x-bad", "a\r\nx-injected: 1")] : []),
        ],
        headersToRemove: ["x-gone"],
        responseHeadersToAdd: [option("x-decided", "yes")],
        dynamicMetadata: undefined,
        queryParametersToSet: path.startsWith("/query") ? [{ key: "added", value: "1" }] : [],
        queryParametersToRemove: path.startsWith("/query") ? ["gone"] : [],
      },
    };
  }
  done(null, response);
}
