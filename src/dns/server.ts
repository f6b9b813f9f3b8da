// A DNS server over UDP and TCP: answers for the names that it is told of, and passes the rest on.

import { createSocket, type RemoteInfo, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, isIPv6, type Server, type Socket } from "node:net";
import { answerQuestion, emptyResponse, type NameAnswer } from "./answer.ts";
import {
  FREE_PORT_ATTEMPTS_MAX,
  TCP_BUFFER_BYTES_MAX,
  TCP_CONNECTIONS_MAX,
  TCP_IDLE_MS,
  UDP_BYTES_DEFAULT,
  UDP_BYTES_MAX,
} from "./limits.ts";
import { CLASS_IN, type DnsMessage, decodeMessage, encodeMessage, recordType, responseCode } from "./message.ts";
import type { DnsUpstream } from "./upstream.ts";

export interface DnsServerOptions {
  readonly address: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly upstream: DnsUpstream | undefined;
}

export class DnsServer {
  readonly port: number;
  #resolve: (name: string) => NameAnswer = () => ({ kind: "foreign" });
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #upstream: DnsUpstream | undefined;

  private constructor(udp: UdpSocket, tcp: Server, upstream: DnsUpstream | undefined) {
    this.port = udp.address().port;
    this.#udp = udp;
    this.#tcp = tcp;
    this.#upstream = upstream;
    udp.on("message", (bytes, from) => this.#datagram(bytes, from));
    udp.on("error", () => undefined);
    tcp.on("connection", (socket) => this.#connection(socket));
  }

  static async listen({ address, port, upstream }: DnsServerOptions): Promise<DnsServer> {
    const { udp, tcp } = await listenOnBoth(address, port, port === 0 ? FREE_PORT_ATTEMPTS_MAX : 1);
    return new DnsServer(udp, tcp, upstream);
  }

  /** What is asked from now on is looked up there. */
  setNames(resolve: (name: string) => NameAnswer): void {
    this.#resolve = resolve;
  }

  close(): void {
    this.#udp.close();
    this.#tcp.close();
    this.#upstream?.close();
  }

  #datagram(bytes: Buffer, from: RemoteInfo): void {
    void this.#answer(bytes).then((answer) => {
      if (answer === undefined) return;
      this.#udp.send(shorten(answer, udpLimit(bytes)), from.port, from.address, () => undefined);
    });
  }

  #connection(socket: Socket): void {
    let buffered = Buffer.alloc(0);
    socket.setTimeout(TCP_IDLE_MS, () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      buffered = Buffer.concat([buffered, chunk]);
      while (buffered.length >= 2 && buffered.length >= 2 + buffered.readUInt16BE(0)) {
        const end = 2 + buffered.readUInt16BE(0);
        this.#answerOn(socket, buffered.subarray(2, end));
        buffered = buffered.subarray(end);
      }
      if (buffered.length > TCP_BUFFER_BYTES_MAX) socket.destroy();
    });
  }

  #answerOn(socket: Socket, query: Buffer): void {
    void this.#answer(query).then((answer) => {
      if (answer === undefined || socket.destroyed) return;
      const length = Buffer.alloc(2);
      length.writeUInt16BE(answer.length);
      socket.write(Buffer.concat([length, answer]));
    });
  }

  /** Undefined: no answer at all, to what is no question. */
  async #answer(bytes: Buffer): Promise<Buffer | undefined> {
    const decoded = decodeMessage(bytes);
    if (!decoded.ok) return undefined;
    const query = decoded.value;
    if (query.response) return undefined;
    const [question] = query.questions;
    if (query.opcode !== 0) return encodeMessage(emptyResponse(query, responseCode.NOTIMP));
    if (question === undefined || query.questions.length > 1) {
      return encodeMessage(emptyResponse(query, responseCode.FORMERR));
    }
    if (question.class !== CLASS_IN) return encodeMessage(emptyResponse(query, responseCode.REFUSED));
    const answer = this.#resolve(question.name);
    if (answer.kind !== "foreign") return encodeMessage(answerQuestion(query, question, answer));
    return (await this.#upstream?.ask(bytes)) ?? encodeMessage(emptyResponse(query, responseCode.SERVFAIL));
  }
}

/** One number for both protocols: a port that is free for UDP may be taken for TCP, and then another one is tried. */
async function listenOnBoth(
  address: string,
  port: number,
  attemptsLeft: number,
): Promise<{ readonly udp: UdpSocket; readonly tcp: Server }> {
  const udp = createSocket(isIPv6(address) ? "udp6" : "udp4");
  udp.bind(port, address);
  await once(udp, "listening");
  const tcp = createServer();
  tcp.maxConnections = TCP_CONNECTIONS_MAX;
  tcp.listen(udp.address().port, address);
  try {
    await once(tcp, "listening");
    return { udp, tcp };
  } catch (error) {
    udp.close();
    if (attemptsLeft <= 1) throw error;
    return listenOnBoth(address, port, attemptsLeft - 1);
  }
}

/** What a client takes over UDP: its OPT record says so in its class field. */
function udpLimit(query: Buffer): number {
  const decoded = decodeMessage(query);
  const option = decoded.ok ? decoded.value.additionals.find(({ type }) => type === recordType.OPT) : undefined;
  return Math.min(UDP_BYTES_MAX, Math.max(UDP_BYTES_DEFAULT, option?.class ?? 0));
}

/** Too long for UDP: only the question goes back, marked as truncated, and the client asks again over TCP. */
function shorten(answer: Buffer, bytesMax: number): Buffer {
  if (answer.length <= bytesMax) return answer;
  const decoded = decodeMessage(answer);
  if (!decoded.ok) return answer.subarray(0, bytesMax);
  const short: DnsMessage = { ...decoded.value, truncated: true, answers: [], authorities: [], additionals: [] };
  return encodeMessage(short);
}
