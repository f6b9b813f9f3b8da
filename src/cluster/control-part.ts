// The certificate authority and the control plane as parts of the cluster: one address serves both.

import { join } from "node:path";
import type { KubeClient } from "../api/client.ts";
import { systemClock } from "../base/clock.ts";
import { err, ok, type Result } from "../base/result.ts";
import { openAuthority } from "../ca/authority.ts";
import { makeControlTls } from "../ca/control-tls.ts";
import { followPluggedCa } from "../ca/plugged.ts";
import { addCertificateService } from "../ca/service.ts";
import { type ControlPlane, startControlPlane } from "../control/control.ts";
import { DEFAULT_KEY_ALGORITHM, readKeyAlgorithm } from "../identity/key.ts";
import type { InjectOptions } from "../inject/options.ts";
import { defaultMeshConfig } from "../model/mesh-config.ts";
import { Registry } from "../observe/metrics.ts";
import { VERSION } from "../proxy/admin/server-info.ts";
import type { TraceReader } from "../traces/trace.ts";
import type { ControlPorts } from "./bootstrap.ts";
import type { DataDir } from "./data-dir.ts";
import type { ClusterError } from "./failure.ts";
import type { Parts } from "./parts.ts";

const TRUST_DOMAIN = "cluster.local";

export interface ControlPartOptions {
  readonly client: KubeClient;
  readonly dir: DataDir;
  readonly nodeIP: string;
  readonly ports: ControlPorts;
  readonly warn: (message: string) => void;
  readonly injection: InjectOptions;
  readonly traces: TraceReader | undefined;
}

export async function openControl(
  options: ControlPartOptions,
  parts: Parts,
): Promise<Result<ControlPlane, ClusterError>> {
  const { client, dir, nodeIP, ports, warn, injection, traces } = options;
  const clock = systemClock;
  const settings = caSettings(process.env);
  const directory = join(dir.pki, "mesh");
  const opened = await openAuthority({ directory, trustDomain: TRUST_DOMAIN, clock, algorithm: settings.algorithm });
  if (!opened.ok) {
    return err({ message: opened.error, next: "Correct that and start again, or name another --data-dir." });
  }
  const authority = opened.value;
  const tls = await makeControlTls({ authority, clock, onProblem: warn });
  parts.add(() => tls.close());
  const log = (level: "info" | "warn", message: string): void => {
    if (level === "warn") warn(message);
  };
  const plugged = followPluggedCa({ client, clock, authority, namespace: defaultMeshConfig.rootNamespace, log });
  parts.add(() => plugged.stop());
  await plugged.ready;
  const registry = new Registry();
  const control = await startControlPlane({
    client,
    clock,
    registry,
    ca: {
      register: (server) => {
        const impersonation = { client, trustedNodeAccounts: settings.trustedNodeAccounts };
        addCertificateService(server, { authority, client, clock, registry, log, impersonation });
      },
      credentials: tls.credentials,
      authority,
    },
    log,
    mesh: { trustDomain: TRUST_DOMAIN },
    version: VERSION.split("/")[1] ?? VERSION,
    injection: () => injection,
    traces,
    listen: {
      secure: { address: nodeIP, port: ports.tls },
      plain: { address: nodeIP, port: ports.plain },
      debug: { address: nodeIP, port: ports.debug },
    },
  });
  parts.add(() => control.close());
  return ok(control);
}

/** Istio's variables of the control plane. */
function caSettings(env: NodeJS.ProcessEnv) {
  const accounts = (env["CA_TRUSTED_NODE_ACCOUNTS"] ?? "").split(",").map((account) => account.trim());
  return {
    trustedNodeAccounts: accounts.filter((account) => account !== ""),
    algorithm: readKeyAlgorithm(`RSA-${env["CITADEL_SELF_SIGNED_CA_RSA_KEY_SIZE"] ?? ""}`) ?? DEFAULT_KEY_ALGORITHM,
  };
}
