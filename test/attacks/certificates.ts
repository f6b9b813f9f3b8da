// Certificates that nobody in the mesh may take, each wrong in one way, and one that is right: for callers and for servers.

import { connect } from "node:tls";
import { type Certified, certify, revoke } from "../unit/pki.ts";

export const FRONTEND = "spiffe://cluster.local/ns/production/sa/frontend";
export const API = "spiffe://cluster.local/ns/production/sa/api";

export interface Attack {
  readonly name: string;
  /** Undefined: none is shown. */
  readonly identity: Certified | undefined;
  /** What Envoy does otherwise, and why. */
  readonly envoy?: string;
}

export interface AttackWorld {
  readonly root: Certified;
  readonly crlPem: string;
  readonly good: Certified;
  readonly attacks: readonly Attack[];
}

/** All claim to be `uri`, by a root of the mesh with its list of what is revoked. */
export async function makeAttacks(uri: string): Promise<AttackWorld> {
  const root = await certify({ subject: "O=cluster.local", isCa: true, days: 10 });
  const foreign = await certify({ subject: "O=cluster.local", isCa: true, days: 10 });
  const names = [{ type: "url", value: uri }] as const;
  const good = await certify({ subject: "CN=good", issuer: root, names });
  const revoked = await certify({ subject: "CN=revoked", issuer: root, names });
  const other = uri.replace("/sa/", "/sa/other-");
  const leaf = async (wanted: Omit<Parameters<typeof certify>[0], "issuer">, issuer: Certified = root) =>
    certify({ ...wanted, issuer });
  return {
    root,
    good,
    crlPem: await revoke(root, [revoked]),
    attacks: [
      { name: "no certificate", identity: undefined },
      { name: "another CA of the same name", identity: await leaf({ subject: "CN=a", names }, foreign) },
      { name: "signed by itself", identity: await certify({ subject: "O=cluster.local", names }) },
      { name: "signed by another workload", identity: await leaf({ subject: "CN=b", names }, good) },
      { name: "expired", identity: await leaf({ subject: "CN=c", names, fromDays: -2, days: -1 }) },
      { name: "not yet valid", identity: await leaf({ subject: "CN=d", names, fromDays: 1 }) },
      {
        name: "of another trust domain",
        identity: await leaf({
          subject: "CN=e",
          names: [{ type: "url", value: uri.replace("cluster.local", "cluster.local.evil.example") }],
        }),
      },
      { name: "its name in the subject only", identity: await leaf({ subject: `CN=${uri}` }) },
      {
        name: "its name as a DNS name",
        identity: await leaf({ subject: "CN=f", names: [{ type: "dns", value: "api" }] }),
      },
      {
        name: "several identities",
        identity: await leaf({ subject: "CN=g", names: [{ type: "url", value: other }, ...names] }),
        envoy: "it takes a certificate of which any name fits, where no SPIFFE validator is configured",
      },
      { name: "revoked", identity: revoked },
    ],
  };
}

/** What comes of a request over TLS: the answer, or nothing. */
export function ask(
  port: number,
  identity: Certified | undefined,
  more: { readonly session?: Buffer; readonly onSession?: (session: Buffer) => void } = {},
): Promise<{ readonly answer: string; readonly resumed: boolean }> {
  return new Promise((resolve) => {
    let answer = "";
    let resumed = false;
    const socket = connect({
      port,
      host: "127.0.0.1",
      rejectUnauthorized: false,
      servername: "api",
      ALPNProtocols: ["istio-http/1.1", "istio"],
      ...(identity === undefined ? {} : { cert: identity.pem, key: identity.keyPem }),
      ...(more.session === undefined ? {} : { session: more.session }),
    });
    socket.setTimeout(5_000, () => socket.destroy());
    socket.on("secureConnect", () => {
      resumed = socket.isSessionReused();
      socket.write("GET / HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n");
    });
    socket.on("session", (session) => more.onSession?.(session));
    socket.on("data", (bytes) => {
      answer += bytes.toString("latin1");
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve({ answer, resumed }));
  });
}
