// What weft makes of bytes, from its codec to what it would write to an origin, without a socket.

import { HttpConnectionManager } from "../../src/proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import type { RequestHead } from "../../src/proxy/codec/head.ts";
import { ServerCodec } from "../../src/proxy/codec/server.ts";
import { writeRequestHead, writeTrailers } from "../../src/proxy/codec/write.ts";
import { Field } from "../../src/proxy/compile/field.ts";
import { compileHttp } from "../../src/proxy/compile/http.ts";
import type { ConnectionInfo } from "../../src/proxy/stack/connection-info.ts";
import { prepareRequest } from "../../src/proxy/stack/request-headers.ts";

export interface Forwarded {
  /** `METHOD TARGET HOST BODY` of each complete request, as weft understood it. */
  readonly requests: readonly string[];
  /** What the origin gets for them. */
  readonly output: string;
  /** The status with which something behind them is refused. */
  readonly refused: number | undefined;
}

const HCM = HttpConnectionManager.fromJSON({ routeConfig: { name: "r" } });
const ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
HCM.httpFilters = [
  {
    name: "router",
    configType: { $case: "typedConfig", value: { typeUrl: ROUTER, value: Buffer.alloc(0) } },
    isOptional: false,
    disabled: false,
  },
];
const CONFIG = compileHttp(HCM, Field.root("fuzz", "hcm"));

const INFO: ConnectionInfo = {
  id: 1,
  filterChainName: "",
  remoteIp: "127.0.0.1",
  remoteAddress: "127.0.0.1:1",
  localIp: "127.0.0.1",
  localPort: 2,
  localAddress: "127.0.0.1:2",
  originalDst: undefined,
  serverName: "",
  tls: false,
  tlsVersion: undefined,
  peer: undefined,
  certificatePresented: false,
  localUri: undefined,
  principals: [],
};

export function forward(text: string): Forwarded {
  const requests: string[] = [];
  let output = "";
  let refused: number | undefined;
  let current: { head: RequestHead; target: string; body: string } | undefined;
  const finish = () => {
    if (current === undefined) return;
    const { head, target, body } = current;
    requests.push(`${head.method} ${target} ${head.authority} ${JSON.stringify(body)}`);
    prepareRequest(head, CONFIG, INFO, undefined);
    if (head.framing === "chunked") head.headers.add("transfer-encoding", "chunked");
    output += writeRequestHead(head, head.headers);
    if (head.framing === "chunked") {
      if (body !== "") output += `${body.length.toString(16)}\r\n${body}\r\n`;
      output += writeTrailers(undefined);
    } else output += body;
    current = undefined;
    if (!head.keepAlive) codec.close();
    else queue.push(() => codec.readNext());
  };
  const queue: (() => void)[] = [];
  const codec: ServerCodec = new ServerCodec(
    {
      onRequest(head, ended) {
        current = { head, target: head.path, body: "" };
        if (ended) finish();
      },
      onBody(chunk) {
        if (current !== undefined) current.body += chunk.toString("latin1");
      },
      onEnd: finish,
      onProtocolError(error) {
        refused = error.status;
      },
      onTunnel() {
        throw new Error("no tunnel was opened");
      },
      onPipelinedTooMuch() {
        throw new Error("no message of the grammar is that long");
      },
    },
    CONFIG,
  );
  codec.push(Buffer.from(text, "latin1"));
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) next();
  return { requests, output, refused };
}
