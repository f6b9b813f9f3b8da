// The file that lets kubectl in.

import { isIPv6 } from "node:net";
import { stringify } from "yaml";

export function makeKubeconfig(options: {
  readonly address: { readonly host: string; readonly port: number };
  readonly caPem: string;
  readonly token: string;
}): string {
  const { host, port } = options.address;
  const reachable = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  const server = `https://${isIPv6(reachable) ? `[${reachable}]` : reachable}:${port}`;
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: "weft",
        cluster: { server, "certificate-authority-data": Buffer.from(options.caPem).toString("base64") },
      },
    ],
    users: [{ name: "weft-admin", user: { token: options.token } }],
    contexts: [{ name: "weft", context: { cluster: "weft", user: "weft-admin" } }],
    "current-context": "weft",
  });
}
