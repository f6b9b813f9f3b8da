// Requests over real sockets: those of one caller, address, port and server name share a connection.

import http from "node:http";
import https from "node:https";
import type { Certified } from "../unit/pki.ts";
import { token } from "../walk/tokens.ts";
import type { RandomRequest } from "./random.ts";

export interface Asked {
  readonly request: RandomRequest;
  readonly set: number;
}

/** The statuses, in the order of what was asked. */
export async function askAll(asked: readonly Asked[], certificates: ReadonlyMap<string, Certified>): Promise<number[]> {
  const byConnection = new Map<string, number[]>();
  for (const [i, { request }] of asked.entries()) {
    const { caller, source, destination, port, serverName } = request;
    const key = JSON.stringify([caller, source, destination, port, serverName]);
    byConnection.set(key, [...(byConnection.get(key) ?? []), i]);
  }
  const statuses: number[] = [];
  const queues = [...byConnection.values()];
  const work = async (): Promise<void> => {
    for (let queue = queues.pop(); queue !== undefined; queue = queues.pop()) {
      await askOver(queue, asked, { certificates, statuses });
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
  return statuses;
}

interface Places {
  readonly certificates: ReadonlyMap<string, Certified>;
  readonly statuses: number[];
}

async function askOver(queue: readonly number[], asked: readonly Asked[], places: Places): Promise<void> {
  const first = asked[queue[0] ?? 0]?.request;
  if (first === undefined) return;
  const certificate = places.certificates.get(first.caller ?? "");
  const secure = certificate !== undefined;
  const agent = secure
    ? new https.Agent({
        keepAlive: true,
        maxSockets: 1,
        key: certificate.keyPem,
        cert: certificate.pem,
        rejectUnauthorized: false,
        servername: first.serverName ?? "",
      })
    : new http.Agent({ keepAlive: true, maxSockets: 1 });
  for (const i of queue) {
    const one = asked[i];
    if (one !== undefined) places.statuses[i] = await ask(one, agent, secure);
  }
  agent.destroy();
}

function ask({ request, set }: Asked, agent: http.Agent, secure: boolean): Promise<number> {
  const headers: Record<string, string | string[]> = { host: request.host, "x-set": String(set) };
  if (request.kind.length > 0) headers["x-kind"] = [...request.kind];
  if (request.forwardedFor !== undefined) headers["x-forwarded-for"] = request.forwardedFor;
  if (request.claims !== undefined) headers["authorization"] = `Bearer ${tokenOf(request.claims)}`;
  const { destination, port, method, path, source } = request;
  const options = { agent, host: destination, port, method, path, headers, localAddress: source, setHost: false };
  return new Promise((resolve, reject) => {
    const sent = (secure ? https : http).request(options, (response) => {
      response.resume();
      response.on("error", reject);
      response.on("end", () => resolve(response.statusCode ?? 0));
    });
    sent.on("error", reject);
    sent.end();
  });
}

const tokens = new Map<object, string>();

function tokenOf(claims: Readonly<Record<string, unknown>>): string {
  const known = tokens.get(claims);
  if (known !== undefined) return known;
  const made = token(claims);
  tokens.set(claims, made);
  return made;
}
