// The head of a response as the client gets it: framed for the client, with what the connection manager adds.

import { ResponseHead } from "../codec/head.ts";
import { HeaderList } from "../codec/headers.ts";
import { reasonOf, writeResponseHead } from "../codec/write.ts";
import type { HttpStream } from "./http-stream.ts";
import { removeNamed } from "./request-headers.ts";
import type { LocalReply } from "./rescue.ts";

/** How the body reaches the client. */
export type Body = "none" | "length" | "chunked" | "until-close" | "tunnel";

export function writeHead(
  stream: HttpStream,
  head: ResponseHead,
  end: { readonly keepAlive: boolean; readonly tunnel: boolean },
): { readonly text: string; readonly body: Body } {
  const { config } = stream.connection.runtime;
  const { headers } = head;
  const request = stream.head;
  removeHopByHop(headers, head.status === 101);
  const body = end.tunnel ? "tunnel" : bodyOf(stream, head);
  // A tunnel has no length, whatever the host says of it.
  if (end.tunnel) headers.remove("content-length");
  if (body === "chunked") headers.add("transfer-encoding", "chunked");
  if (config.serverHeader === "overwrite") headers.set("server", config.serverName);
  else if (config.serverHeader === "append-if-absent" && !headers.has("server"))
    headers.add("server", config.serverName);
  if (config.via !== "") headers.append("via", config.via, ", ");
  if (config.requestIdInResponse) headers.set("x-request-id", request.headers.get("x-request-id") ?? "");
  if (!end.tunnel) {
    if (!end.keepAlive || body === "until-close") headers.add("connection", "close");
    else if (request.http10) headers.add("connection", "keep-alive");
  }
  if (head.reason === "") head.reason = reasonOf(head.status);
  return { text: writeResponseHead(config.properCase ? inProperCase(head) : head), body };
}

/** A copy whose names begin each word with a capital: `X-Forwarded-For`. */
function inProperCase(head: ResponseHead): ResponseHead {
  const raw = head.headers.raw.map((text, at) =>
    at % 2 === 0
      ? text.replace(/(^|[^a-z0-9])([a-z])/g, (_, before: string, letter: string) => before + letter.toUpperCase())
      : text,
  );
  return new ResponseHead(head.status, head.reason, head.http10, new HeaderList(raw));
}

export function localHead(stream: HttpStream, reply: LocalReply): ResponseHead {
  const { core } = stream.connection.runtime;
  const headers = new HeaderList();
  const { status } = reply;
  if (status >= 200 && status !== 204 && status !== 304)
    headers.add("content-length", String(Buffer.byteLength(reply.body)));
  for (let at = 0; at < reply.headers.length; at += 2)
    headers.add(reply.headers[at] ?? "", reply.headers[at + 1] ?? "");
  // Whose address counts comes from outside: he is not told what policies ask for.
  const cause = stream.connection.runtime.config.useRemoteAddress ? (reply.publicCause ?? reply.cause) : reply.cause;
  if (cause !== "" && core.showCause) headers.add("x-weft-cause", cause.replaceAll(/[^\t\x20-\x7e]/g, "?"));
  headers.add("date", new Date(core.clock.wallMs()).toUTCString());
  const head = new ResponseHead(status, reasonOf(status), false, headers);
  head.framing = "length";
  return head;
}

function bodyOf(stream: HttpStream, head: ResponseHead): Body {
  if (head.framing === "none") return "none";
  if (head.framing === "length") return "length";
  return stream.head.http10 ? "until-close" : "chunked";
}

function removeHopByHop(headers: HeaderList, upgraded: boolean): void {
  const { raw } = headers;
  let named = "";
  let to = 0;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? "";
    const value = raw[at + 1] ?? "";
    switch (name) {
      case "connection":
        named = named === "" ? value : `${named},${value}`;
        if (!upgraded) continue;
        raw[to++] = name;
        raw[to++] = "upgrade";
        continue;
      case "keep-alive":
      case "proxy-connection":
      case "transfer-encoding":
        continue;
      case "upgrade":
        if (!upgraded) continue;
        break;
    }
    raw[to++] = name;
    raw[to++] = value;
  }
  raw.length = to;
  removeNamed(headers, named);
}
