// What listeners refer to by name: routes and secrets.

import type { ListenerConfig } from "../compile/listener.ts";
import { namedSecrets } from "../socket/contexts.ts";

export function chainsOf(config: ListenerConfig): ListenerConfig["chains"] {
  return config.defaultChain === undefined ? config.chains : [...config.chains, config.defaultChain];
}

export interface References {
  readonly routes: ReadonlySet<string>;
  readonly secrets: ReadonlySet<string>;
}

export function referencesOf(configs: readonly ListenerConfig[], otherSecrets: readonly string[]): References {
  const routes = new Set<string>();
  const secrets = new Set<string>(otherSecrets);
  for (const { terminal, tls } of configs.flatMap(chainsOf)) {
    if (terminal.kind === "http" && terminal.routes.kind === "rds") routes.add(terminal.routes.name);
    if (tls !== undefined) for (const name of namedSecrets(tls)) secrets.add(name);
  }
  return { routes, secrets };
}
