// From a container's specification to the process to start: image, command, environment, mounts, limits.

import type { Container } from "../api/kubernetes/container.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { Prepared, RunnerEvent, Waiting } from "./container-runner.ts";
import type { NodeContext, ProxyOfNode } from "./context.ts";
import { resolveEnvironment } from "./environment.ts";
import { expand } from "./expand.ts";
import type { PodFacts } from "./facts.ts";
import type { ImageCommand } from "./images.ts";
import { parseQuantity } from "./quantity.ts";
import type { Sandbox } from "./sandbox.ts";
import { messageMount } from "./termination-message.ts";
import type { PodVolumes } from "./volumes.ts";

export interface Preparation {
  readonly container: Container;
  readonly context: NodeContext;
  readonly sandbox: Sandbox;
  readonly facts: PodFacts;
  readonly volumes: PodVolumes;
  /** The pod's own. */
  readonly directory: string;
  readonly note: (event: RunnerEvent) => void;
}

export async function prepareContainer(preparation: Preparation): Promise<Result<Prepared, Waiting>> {
  const { container, context, sandbox, facts, volumes, note } = preparation;
  const command = commandOf(container, context);
  if (!command.ok) return command;
  const own = await resolveEnvironment(container, facts, context.client);
  if (!own.ok) return refuse(own.error);
  const env = {
    ...context.environment,
    ...proxyEnvironment(engineOf(container, context), context),
    HOSTNAME: facts.pod.spec.hostname ?? facts.pod.metadata.name,
    ...sandbox.environment({ name: container.name, ports: portsOf(container, preparation) }),
    ...own.value,
  };
  const mounts = volumes.mountsOf(container, facts, env);
  if (!mounts.ok) return refuse(mounts.error);
  const message = messageMount(container, { directory: preparation.directory, mode: context.provider.mode });
  note({
    type: "Normal",
    reason: "Pulled",
    message: `Container image "${container.image ?? ""}" already present on machine`,
  });
  note({ type: "Normal", reason: "Created", message: `Created container: ${container.name}` });
  const argv = command.value.argv.map((word) => expand(word, env));
  const workingDirectory = container.workingDir ?? command.value.workingDirectory;
  const limits = container.resources?.limits;
  const cpu = parseQuantity(limits?.["cpu"]);
  return ok({
    messageFile: message?.source,
    request: {
      container: container.name,
      argv,
      env,
      workingDirectory,
      mounts: message === undefined ? mounts.value : [...mounts.value, message],
    },
    limits: {
      cpuMillis: cpu === undefined ? undefined : Math.ceil(cpu * 1000),
      memoryBytes: parseQuantity(limits?.["memory"]),
    },
  });
}

/**
 * The C library's default of several heaps a thread costs a sidecar 4 to 7 MB under load, and buys it nothing. Its
 * thresholds grow with the largest block that was ever freed, which is the program's text: fixed, what start-up needed
 * goes back to the system.
 */
export const PROXY_ENVIRONMENT = {
  MALLOC_ARENA_MAX: "1",
  // The compiler's working memory comes in pieces of this size.
  MALLOC_MMAP_THRESHOLD_: "32768",
  MALLOC_TRIM_THRESHOLD_: "262144",
  MALLOC_TOP_PAD_: "65536",
};

type Engine = ProxyOfNode["kind"];

/** What serves in a container of the mesh's proxy; undefined for any other container. */
function engineOf({ image = "" }: Container, { images, proxy }: NodeContext): Engine | undefined {
  const { kind } = images.resolve(image);
  if (kind === "agent") return "envoy";
  return kind === "proxy" ? proxy.kind : undefined;
}

function proxyEnvironment(engine: Engine | undefined, { proxy: { envoy } }: NodeContext): Record<string, string> {
  if (engine === undefined) return {};
  return engine === "envoy" && envoy.ok ? { ...PROXY_ENVIRONMENT, WEFT_ENVOY: envoy.value } : PROXY_ENVIRONMENT;
}

/** What a container with an image of weft's own runs when it calls Istio's agent by name. */
const AGENT_PROGRAM = /^(?:.*\/)?pilot-agent$/;

/** argv of a command that is run in a container beside its main process. */
export function translateExec(container: Container, argv: readonly string[], context: NodeContext): readonly string[] {
  const engine = engineOf(container, context);
  if (engine === undefined || !AGENT_PROGRAM.test(argv[0] ?? "")) return argv;
  // The node itself holds the application back until its proxy is ready.
  return argv[1] === "wait" ? ["true"] : [...programOf(engine, context), ...argv.slice(1)];
}

function programOf(engine: Engine, { proxyCommand }: NodeContext): readonly string[] {
  return engine === "envoy" ? [...proxyCommand, "agent"] : proxyCommand;
}

function commandOf(
  container: Container,
  context: NodeContext,
): Result<{ readonly argv: readonly string[]; readonly workingDirectory: string | undefined }, Waiting> {
  const image = container.image ?? "";
  const own = container.command ?? [];
  const args = container.args ?? [];
  const found = context.images.resolve(image);
  const workingDirectory = found.kind === "command" ? found.command.workingDirectory : undefined;
  if (own.length > 0) return ok({ argv: translateExec(container, [...own, ...args], context), workingDirectory });
  switch (found.kind) {
    case "proxy":
    case "agent": {
      const engine = engineOf(container, context) ?? "weft";
      if (engine === "envoy" && !context.proxy.envoy.ok) return refuse(context.proxy.envoy.error);
      return ok({ argv: [...programOf(engine, context), ...args], workingDirectory });
    }
    case "command":
      return ok({ argv: imageArgv(found.command, container.args), workingDirectory });
    case "unknown":
      return err({
        reason: "ImagePullBackOff",
        message: `image "${image}" has no local command; give it one: weft image set ${image} -- COMMAND…`,
      });
    case "broken":
      return err({ reason: "ImagePullBackOff", message: `the image table can't be used: ${found.message}` });
  }
}

function imageArgv(command: ImageCommand, args: readonly string[] | undefined): readonly string[] {
  return [...command.command, ...(args === undefined || args.length === 0 ? command.args : args)];
}

/** Declared ports; failing that, the ones that services of the pod lead to. */
function portsOf(container: Container, { context, facts }: Preparation): readonly number[] {
  const declared = (container.ports ?? []).map((port) => port.containerPort);
  return declared.length > 0 ? declared : context.services.targetPortsOf(facts.pod);
}

function refuse(message: string): Result<never, Waiting> {
  return err({ reason: "CreateContainerConfigError", message });
}
