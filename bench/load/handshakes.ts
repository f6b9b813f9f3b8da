// New TLS connections as fast as a few clients make them: full handshakes, or resumed by the session before.

import fs from "node:fs";
import tls from "node:tls";
import type { LoadAnswer, LoadCommand } from "./command.ts";
import { quantiles } from "./quantiles.ts";
import { ResponseReader } from "./rate.ts";

type HandshakeCommand = Extract<LoadCommand, { kind: "handshakes" }>;

interface Tally {
  readonly tookMs: number[];
  failures: number;
  resumed: number;
}

export async function runHandshakes(command: HandshakeCommand): Promise<LoadAnswer> {
  const secureContext = tls.createSecureContext({
    cert: fs.readFileSync(command.chainFile),
    key: fs.readFileSync(command.keyFile),
  });
  const tally: Tally = { tookMs: [], failures: 0, resumed: 0 };
  const startMs = performance.now();
  const endMs = startMs + command.seconds * 1000;
  const client = async () => {
    let session: Buffer | undefined;
    while (performance.now() < endMs) {
      const beganMs = performance.now();
      const given = await connectOnce(command, secureContext, { session, tally });
      if (given === undefined) tally.failures += 1;
      else tally.tookMs.push(performance.now() - beganMs);
      if (command.resume && given !== undefined) session = given.session ?? session;
    }
  };
  await Promise.all(Array.from({ length: command.connections }, client));
  return {
    done: tally.tookMs.length,
    failures: tally.failures,
    tookSeconds: (performance.now() - startMs) / 1000,
    resumed: tally.resumed,
    ...quantiles(Float64Array.from(tally.tookMs)),
  };
}

function connectOnce(
  command: HandshakeCommand,
  secureContext: tls.SecureContext,
  around: { readonly session: Buffer | undefined; readonly tally: Tally },
): Promise<{ readonly session: Buffer | undefined } | undefined> {
  return new Promise((resolve) => {
    let session: Buffer | undefined;
    const socket = tls.connect({
      port: command.port,
      host: "127.0.0.1",
      servername: command.serverName,
      secureContext,
      rejectUnauthorized: false,
      ...(around.session === undefined ? {} : { session: around.session }),
    });
    const reader = new ResponseReader();
    socket.setNoDelay(true);
    socket.on("session", (given) => {
      session = given;
    });
    socket.once("secureConnect", () => {
      if (socket.isSessionReused()) around.tally.resumed += 1;
      socket.write(`GET ${command.path} HTTP/1.1\r\nhost: bench\r\n\r\n`);
    });
    socket.on("data", (chunk: Buffer) => {
      const status = reader.push(chunk);
      if (status === 0) return;
      socket.destroy();
      resolve(status === 200 ? { session } : undefined);
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve(undefined));
  });
}
