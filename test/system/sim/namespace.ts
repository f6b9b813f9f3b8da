// A network namespace of the caller's own: all of 10.0.0.0/8 is this machine, and the firewall leads calls to the proxy.

import { execFileSync } from "node:child_process";
import * as grpc from "@grpc/grpc-js";
import { systemClock } from "../../../src/base/clock.ts";
import { ok } from "../../../src/base/result.ts";
import type { WorkloadIdentity } from "../../../src/identity/spiffe.ts";
import type { EncodedConfiguration } from "../../../src/serve/resource.ts";
import { DiscoveryServer } from "../../../src/serve/server.ts";
import type { ProxyNode } from "../../../src/translate/proxy.ts";
import { type Identities, type Identity, registerSecrets } from "./certificates.ts";
import { CLIENT_PORTS } from "./make-call.ts";

const RULES = `table ip sim {
  chain output {
    type nat hook output priority -100;
    tcp sport ${CLIENT_PORTS.outbound.join("-")} redirect to :15001
    tcp sport ${CLIENT_PORTS.inbound.join("-")} redirect to :15006
  }
}`;

export function prepareNamespace(): void {
  execFileSync("ip", ["link", "set", "lo", "up"]);
  execFileSync("ip", ["route", "add", "local", "10.0.0.0/8", "dev", "lo"]);
  execFileSync("nft", ["-f", "-"], { input: RULES });
}

/** What is served at the moment, and to whom. */
export interface Serving {
  mesh?: { encoded(proxy: ProxyNode): EncodedConfiguration | undefined };
  identity?: Identity;
  workload?: WorkloadIdentity;
}

/** Returns the port. */
export async function startDiscovery(serving: Serving, identities: Identities): Promise<number> {
  const discovery = new DiscoveryServer({
    clock: systemClock,
    configure: (proxy) => serving.mesh?.encoded(proxy),
    events: { log: (level, message) => console.error(`${level}: ${message}`) },
  });
  const server = new grpc.Server();
  discovery.register(server, () => Promise.resolve(ok(serving.workload)));
  const current = (): Identity => {
    if (serving.identity === undefined) throw new Error("nobody is served");
    return serving.identity;
  };
  registerSecrets(server, current, identities.rootPem);
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
  });
}
