// `weft wait`: until every proxy concerned runs a resource, or whatever else its status says.

import { setTimeout as pause } from "node:timers/promises";
import { Argument, type Command } from "commander";
import { istioKinds } from "../api/istio/kinds.ts";
import { parseDurationMs } from "../api/istio/rules.ts";
import { apiVersionOf, type Kind } from "../api/kind.ts";
import { kubernetesKinds } from "../api/kubernetes/kinds.ts";
import { makeRegistry } from "../api/registry.ts";
import { isRecord } from "../base/json.ts";
import { CommandFailure, examples } from "./command.ts";
import { dataDirOption } from "./data-dir.ts";
import { MeshAccess } from "./mesh-access.ts";

const POLL_MS = 100;

interface Options {
  readonly for: string;
  readonly namespace: string;
  readonly timeout: string;
  readonly dataDir: string;
}

interface Target {
  readonly kind: Kind;
  readonly name: string;
}

/** `wait`: not yet; `never`: no waiting will help. */
type State = { readonly kind: "met" } | { readonly kind: "wait" | "never"; readonly why: string };

export function define(command: Command): void {
  command
    .addArgument(new Argument("<resources...>", "KIND/NAME: virtualservice/api, dr/api, …"))
    .option(
      "--for <what>",
      "programmed, delete, or a condition: accepted, ResolvedRefs, Conflicted=True, …",
      "programmed",
    )
    .option("-n, --namespace <namespace>", "of the resources", "default")
    .option("--timeout <duration>", "how long at most: 30s, 2m", "30s")
    .addOption(dataDirOption())
    .action(async (texts: string[], options: Options) => {
      const timeoutMs = parseDurationMs(options.timeout);
      if (timeoutMs === undefined) {
        throw new CommandFailure(`--timeout ${options.timeout} is no duration`, {
          next: "Write 30s or 2m.",
          exitCode: 2,
        });
      }
      const targets = texts.map(readTarget);
      const mesh = new MeshAccess(options.dataDir);
      const endMs = performance.now() + timeoutMs;
      for (const target of targets) await waitFor(mesh, target, { ...options, endMs });
    });
  examples(command, [
    "weft wait --for=programmed virtualservice/api -n shop",
    "weft wait vs/api dr/api -n shop --timeout 1m",
    "weft wait --for=delete virtualservice/api -n shop",
    "weft wait --for=Conflicted=True vs/api -n shop",
  ]);
}

function readTarget(text: string): Target {
  const [kindName = "", name = "", more] = text.split("/");
  const kind = makeRegistry([...istioKinds, ...kubernetesKinds]).byAnyName(kindName);
  if (kind === undefined || name === "" || more !== undefined) {
    const problem = kind === undefined ? `weft serves no kind ${kindName}` : `${text} is not KIND/NAME`;
    throw new CommandFailure(problem, { next: "Write virtualservice/api, for example.", exitCode: 2 });
  }
  return { kind, name };
}

async function waitFor(
  mesh: MeshAccess,
  { kind, name }: Target,
  options: Pick<Options, "for" | "namespace"> & { readonly endMs: number },
): Promise<void> {
  const label = `${kind.singular}.${kind.group}/${name}`;
  const scope = kind.namespaced ? `/namespaces/${options.namespace}` : "";
  const path = `${kind.group === "" ? "/api" : "/apis"}/${apiVersionOf(kind)}${scope}/${kind.plural}/${name}`;
  for (;;) {
    const state = stateOf(await mesh.object(path), options.for);
    if (state.kind === "met") {
      console.log(`${label} ${options.for === "delete" ? "deleted" : "condition met"}`);
      return;
    }
    if (state.kind === "never") throw new CommandFailure(`${label}: ${state.why}`);
    if (performance.now() >= options.endMs) {
      throw new CommandFailure(`timed out waiting for ${label}: ${state.why}`, {
        next: 'See "weft proxy-status" for the proxies, or give it more time with --timeout.',
      });
    }
    await pause(POLL_MS);
  }
}

/** Of an object as the API has it; undefined where there is none. A condition of an older generation says nothing. */
export function stateOf(object: unknown, wanted: string): State {
  if (wanted === "delete") return object === undefined ? { kind: "met" } : { kind: "wait", why: "it is still there" };
  if (object === undefined) return { kind: "never", why: "there is no such resource" };
  const [name = "", value = "True"] = wanted === "distribution" ? ["programmed"] : wanted.split("=");
  const status = at(object, "status");
  const conditions =
    isRecord(status) && Array.isArray(status["conditions"]) ? status["conditions"].filter(isRecord) : [];
  const condition = conditions.find(({ type }) => String(type).toLowerCase() === name.toLowerCase());
  if (condition === undefined) return { kind: "wait", why: `its status has no condition ${name}` };
  const generation = Number(at(at(object, "metadata"), "generation") ?? 0);
  if (Number(condition["observedGeneration"] ?? generation) < generation) {
    return { kind: "wait", why: "its last change has not been looked at yet" };
  }
  if (String(condition["status"]).toLowerCase() === value.toLowerCase()) return { kind: "met" };
  const why = `${condition["type"]} is ${condition["status"]}: ${condition["message"]}`;
  return { kind: condition["reason"] === "Refused" ? "never" : "wait", why };
}

function at(value: unknown, key: string): unknown {
  return isRecord(value) ? value[key] : undefined;
}
