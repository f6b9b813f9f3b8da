// The admin interface's view of this process: the proxy's own, with the logs and the end of the process added.

import type { LogRoot } from "../observe/log.ts";
import type { AdminView, CertificateView, ProxyView } from "../proxy/admin/view.ts";
import type { SecretSource } from "../proxy/socket/secret.ts";

export interface ViewParts {
  readonly logs: LogRoot;
  readonly secrets: SecretSource;
  /** As /server_info shows it. */
  readonly commandLine: Readonly<Record<string, unknown>>;
  quit(): void;
}

export function processView(view: ProxyView, parts: ViewParts): AdminView {
  return {
    get registry() {
      return view.registry;
    },
    bootstrap: view.bootstrap,
    startedAtMs: view.startedAtMs,
    commandLine: parts.commandLine,
    state: () => view.state(),
    clusters: () => view.clusters(),
    listeners: () => view.listeners(),
    heldUp: () => view.heldUp(),
    dump: (kind) => view.dump(kind),
    certificates: () => {
      const known = view.certificates();
      return known.length > 0 ? known : localCertificates(parts.secrets);
    },
    logLevels: () => parts.logs.levels(),
    setLogLevel: (logger, level) => parts.logs.setLevel(logger, level),
    runtime: () => view.runtime(),
    modifyRuntime: (changes) => view.modifyRuntime(changes),
    failHealthcheck: (failing) => view.failHealthcheck(failing),
    drainListeners: (options) => view.drainListeners(options),
    resetCounters: () => view.resetCounters(),
    recent: () => view.recent(),
    refresh: () => view.refresh(),
    quit: parts.quit,
  };
}

function localCertificates(secrets: SecretSource): readonly CertificateView[] {
  const identity = secrets.get("default");
  const trust = secrets.get("ROOTCA");
  if (identity?.kind !== "certificate") return [];
  const caPem = trust?.kind === "trust" ? trust.bundlePem : undefined;
  return [{ secretName: "default", caPem, chainPem: identity.certificateChainPem }];
}
