// The PROXY protocol's header, by which an upstream learns whose connection it is (pure).

import { isIPv4, isIPv6 } from "node:net";

export type ProxyVersion = "v1" | "v2";

/** Whose connection it is: where it came from, and where it meant to go. */
export interface Client {
  readonly remoteIp: string;
  /** With its port. */
  readonly remoteAddress: string;
  readonly localIp: string;
  readonly localPort: number;
}

interface Ends {
  readonly sourceIp: string;
  readonly sourcePort: number;
  readonly destinationIp: string;
  readonly destinationPort: number;
}

const SIGNATURE = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
const PROXY_COMMAND = 0x21;
const LOCAL_COMMAND = 0x20;
const TCP4 = 0x11;
const TCP6 = 0x21;

/** Without a client: a connection of the proxy's own. */
export function proxyHeader(version: ProxyVersion, client: Client | undefined): Buffer {
  const ends = client === undefined ? undefined : endsOf(client);
  return version === "v1" ? Buffer.from(textHeader(ends), "latin1") : binaryHeader(ends);
}

function endsOf({ remoteIp, remoteAddress, localIp, localPort }: Client): Ends {
  const sourcePort = Number(remoteAddress.slice(remoteAddress.lastIndexOf(":") + 1));
  return { sourceIp: remoteIp, sourcePort, destinationIp: localIp, destinationPort: localPort };
}

function textHeader(ends: Ends | undefined): string {
  if (ends === undefined) return "PROXY UNKNOWN\r\n";
  const { sourceIp, destinationIp, sourcePort, destinationPort } = ends;
  const four = isIPv4(sourceIp) && isIPv4(destinationIp);
  if (!four && !(isIPv6(sourceIp) && isIPv6(destinationIp))) return "PROXY UNKNOWN\r\n";
  return `PROXY ${four ? "TCP4" : "TCP6"} ${sourceIp} ${destinationIp} ${sourcePort} ${destinationPort}\r\n`;
}

function binaryHeader(ends: Ends | undefined): Buffer {
  const local = Buffer.concat([SIGNATURE, Buffer.from([LOCAL_COMMAND, 0, 0, 0])]);
  if (ends === undefined) return local;
  const { sourceIp, destinationIp, sourcePort, destinationPort } = ends;
  const four = isIPv4(sourceIp) && isIPv4(destinationIp);
  if (!four && !(isIPv6(sourceIp) && isIPv6(destinationIp))) return local;
  const bytes = four ? fourBytes : sixteenBytes;
  const addresses = Buffer.concat([bytes(sourceIp), bytes(destinationIp)]);
  const tail = Buffer.alloc(4);
  tail.writeUInt16BE(sourcePort, 0);
  tail.writeUInt16BE(destinationPort, 2);
  const head = Buffer.from([PROXY_COMMAND, four ? TCP4 : TCP6, 0, addresses.length + tail.length]);
  return Buffer.concat([SIGNATURE, head, addresses, tail]);
}

function fourBytes(ip: string): Buffer {
  return Buffer.from(ip.split(".").map(Number));
}

function sixteenBytes(ip: string): Buffer {
  const [left = "", right] = ip.split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":").flatMap(group));
  const first = groups(left);
  const last = right === undefined ? [] : groups(right);
  const gap = Array.from({ length: 8 - first.length - last.length }, () => 0);
  const out = Buffer.alloc(16);
  for (const [index, value] of [...first, ...gap, ...last].entries()) out.writeUInt16BE(value, index * 2);
  return out;
}

/** Two groups where an address of four numbers ends it. */
function group(text: string): readonly number[] {
  if (!text.includes(".")) return [Number.parseInt(text, 16)];
  const [a = 0, b = 0, c = 0, d = 0] = text.split(".").map(Number);
  return [a * 256 + b, c * 256 + d];
}
