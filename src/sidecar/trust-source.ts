// What the mesh trusts, taken from the configuration stream for the agent: the control plane's answer to the stream is
// the sign that the bundle is in force here. Everything else goes to the proxy as it is.

import type { Result } from "../base/result.ts";
import { secretValue } from "../proxy/run/secrets.ts";
import type { SecretValue } from "../proxy/socket/secret.ts";
import { TYPE_URLS } from "../proxy/subscribe/decode.ts";
import type { ResourceHandler, ResourceRefusal, ResourceSource, ResourceUpdate } from "../proxy/subscribe/source.ts";

export type TrustValue = Extract<SecretValue, { kind: "trust" }>;

const NAME = "ROOTCA";

type SecretUpdate = Extract<ResourceUpdate, { kind: "secret" }>;

/** `take` answers why it can't go by a bundle, which becomes the stream's refusal. */
export function withTrust(source: ResourceSource, take: (value: TrustValue) => Result<void, string>): ResourceSource {
  const listen = (handler: ResourceHandler): ResourceHandler => ({
    onUpdate: (update) => {
      if (update.kind !== "secret") return handler.onUpdate(update);
      const { own, rest } = apart(update);
      const refused = own === undefined ? [] : refusalsOf(own, take);
      return rest === undefined ? refused : [...refused, ...handler.onUpdate(rest)];
    },
    onState: (state) => handler.onState(state),
  });
  return {
    listeners: source.listeners,
    start: (handler) => {
      source.setWanted("secret", new Set([NAME]));
      source.start(listen(handler));
    },
    setWanted: (kind, names) => source.setWanted(kind, kind === "secret" ? new Set([...names, NAME]) : names),
    stop: () => source.stop(),
  };
}

/** The proxy is not told of a secret that is not its own to ask for. */
function apart(update: SecretUpdate): {
  readonly own: SecretUpdate["changed"][number] | undefined;
  readonly rest: SecretUpdate | undefined;
} {
  const own = update.changed.find(({ name }) => name === NAME);
  const changed = update.changed.filter(({ name }) => name !== NAME);
  const removed = update.removed.filter((name) => name !== NAME);
  const rest = changed.length + removed.length === 0 ? undefined : { ...update, changed, removed };
  return { own, rest };
}

function refusalsOf(
  { resource }: SecretUpdate["changed"][number],
  take: (value: TrustValue) => Result<void, string>,
): readonly ResourceRefusal[] {
  const value = secretValue(resource);
  const taken = value?.kind === "trust" ? take(value) : undefined;
  if (taken?.ok === true) return [];
  const message = taken === undefined ? "expected a validation context with a bundle" : taken.error;
  return [{ resource: NAME, path: "", typeUrl: TYPE_URLS.secret, message }];
}
