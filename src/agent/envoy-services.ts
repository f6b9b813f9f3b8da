// The agent's sockets for Envoy: one server of gRPC, on a unix socket that the pod alone sees.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as grpc from "@grpc/grpc-js";
import { err, ok, type Result } from "../base/result.ts";
import type { AgentSockets } from "./envoy-bootstrap.ts";
import { ENVOY_MESSAGE_BYTES_MAX, SOCKET_PATH_BYTES_MAX } from "./limits.ts";

/** In the sidecar's own folder; where that is too deep for a socket's path, in a new one for temporary files. */
export function agentSockets(folder: string): Result<AgentSockets, string> {
  const names = { grpc: "agent.sock", spans: "spans.sock" };
  const fits = Object.values(names).every((name) => path.join(folder, name).length <= SOCKET_PATH_BYTES_MAX);
  try {
    if (fits) fs.mkdirSync(folder, { recursive: true });
    const own = fits ? folder : fs.mkdtempSync(path.join(os.tmpdir(), "weft-agent-"));
    if (!fits) process.on("exit", () => fs.rmSync(own, { recursive: true, force: true }));
    const sockets = { grpc: path.join(own, names.grpc), spans: path.join(own, names.spans) };
    // Of a container that was killed.
    for (const socket of Object.values(sockets)) fs.rmSync(socket, { force: true });
    return ok(sockets);
  } catch (error) {
    return err(`${folder}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

export async function serveGrpc(
  socket: string,
  addServices: (server: grpc.Server) => void,
): Promise<Result<() => void, string>> {
  const server = new grpc.Server({ "grpc.max_receive_message_length": ENVOY_MESSAGE_BYTES_MAX });
  addServices(server);
  const failed = await new Promise<Error | null>((resolve) => {
    server.bindAsync(`unix:${socket}`, grpc.ServerCredentials.createInsecure(), resolve);
  });
  if (failed !== null) return err(`${socket}: ${failed.message}`);
  fs.chmodSync(socket, 0o600);
  return ok(() => server.forceShutdown());
}
