// A cluster of the test's own: real `weft up`, real kubectl, a fresh data directory, everything ended and looked for after.

import assert from "node:assert/strict";
import { chmodSync, chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isRecord, parseJson } from "../../src/base/json.ts";
import { eventually, type Outcome, type RunOptions, run, type User, whereIs } from "./process.ts";

export const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const WEFT = join(root, "bin/weft.js");
const KUBECTL = join(root, ".tools/bin/kubectl");
const UP_TIMEOUT_MS = 60_000;
const READY_TIMEOUT_MS = 90_000;

export interface ClusterOptions {
  readonly mode: "transparent" | "explicit";
  /** What the sidecars run; weft's own proxy where nothing is said. */
  readonly proxy?: "weft" | "envoy";
  readonly user?: User | undefined;
}

export function kubectlPath(): string | undefined {
  return existsSync(KUBECTL) ? KUBECTL : whereIs("kubectl");
}

/** A directory that is gone after the test, of the user who runs the cluster. */
export function scratch(user: User | undefined): string {
  const folder = mkdtempSync(join(tmpdir(), "weft-walk-"));
  chmodSync(folder, 0o755);
  if (user !== undefined) chownSync(folder, user.uid, user.gid);
  return folder;
}

/** The daemon's environment has neither the tests' kubeconfig nor their npm settings. */
function environment(home: string): Record<string, string | undefined> {
  const path = [join(root, ".tools/bin"), `${process.env["PATH"] ?? ""}`, "/usr/sbin", "/sbin"].join(":");
  return { HOME: home, PATH: path, KUBECONFIG: undefined, NODE_OPTIONS: undefined, NODE_TEST_CONTEXT: undefined };
}

export class Cluster {
  readonly mode: "transparent" | "explicit";
  readonly proxy: "weft" | "envoy";
  readonly folder: string;
  readonly dataDir: string;
  readonly user: User | undefined;
  readonly kubeconfig: string;

  constructor(options: ClusterOptions) {
    this.mode = options.mode;
    this.proxy = options.proxy ?? "weft";
    this.user = options.user;
    this.folder = scratch(options.user);
    this.dataDir = join(this.folder, "data");
    this.kubeconfig = join(this.folder, "kubeconfig");
  }

  async up(...args: readonly string[]): Promise<Outcome> {
    const asked = ["--intercept", this.mode, "--proxy", this.proxy];
    return this.weft(["up", "-d", ...asked, ...args], { timeoutMs: UP_TIMEOUT_MS });
  }

  /** With another data directory than the cluster's own. */
  upIn(dataDir: string): Promise<Outcome> {
    const argv = [process.execPath, WEFT, "up", "-d", "--intercept", this.mode, "--data-dir", dataDir];
    return run(argv, this.#options({ timeoutMs: UP_TIMEOUT_MS }));
  }

  weftArgv(args: readonly string[]): readonly string[] {
    return [process.execPath, WEFT, ...args, "--data-dir", this.dataDir];
  }

  environment(): RunOptions {
    return this.#options({});
  }

  /** Makes the proxy's bundle as who runs the tests: the cluster's user may not be allowed to write to the checkout. */
  static async bundle(): Promise<void> {
    const script = `import(${JSON.stringify(join(root, "scripts/bundle-proxy.js"))}).then((module) => module.bundleProxy())`;
    const outcome = await run([process.execPath, "-e", script], { cwd: root });
    assert.equal(outcome.code, 0, outcome.stderr);
  }

  /** Up, with a kubeconfig of our own, so that a test may change it. */
  async start(): Promise<void> {
    if (this.user !== undefined) await Cluster.bundle();
    const outcome = await this.up();
    assert.equal(outcome.code, 0, `weft up failed:\n${outcome.stdout}${outcome.stderr}`);
    await this.useKubeconfig();
  }

  async useKubeconfig(): Promise<void> {
    const path = (await this.weft(["kubeconfig"])).stdout.trim();
    const text = await run(["cat", path], this.#options({}));
    assert.equal(text.code, 0, `weft kubeconfig printed ${path}: ${text.stderr}`);
    writeFileSync(this.kubeconfig, text.stdout, { mode: 0o600 });
    if (this.user !== undefined) chownSync(this.kubeconfig, this.user.uid, this.user.gid);
  }

  weft(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return run(this.weftArgv(args), this.#options(options));
  }

  /** `weft image set` takes a command after `--`, so the directory comes before. */
  async image(name: string, command: readonly string[]): Promise<void> {
    const argv = [process.execPath, WEFT, "image", "set", "--data-dir", this.dataDir, name, "--", ...command];
    const outcome = await run(argv, this.#options({}));
    assert.equal(outcome.code, 0, `weft image set ${name}: ${outcome.stdout}${outcome.stderr}`);
  }

  kubectl(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return run([kubectlPath() ?? "kubectl", ...args], this.#options(options));
  }

  async kubectlOk(args: readonly string[], options: RunOptions = {}): Promise<string> {
    const outcome = await this.kubectl(args, options);
    assert.equal(
      outcome.code,
      0,
      `kubectl ${args.join(" ")} exited with ${outcome.code}:\n${outcome.stdout}${outcome.stderr}`,
    );
    return outcome.stdout;
  }

  /** A command line as the post prints it, by a shell, with `istioctl` standing for weft. */
  shell(line: string, options: RunOptions = {}): Promise<Outcome> {
    const script = `istioctl() { "${process.execPath}" "${WEFT}" "$@"; }\nkubectl() { "${kubectlPath() ?? "kubectl"}" "$@"; }\nset -o pipefail\n${line}`;
    return run(["bash", "-c", script], this.#options(options));
  }

  async apply(yaml: string): Promise<string> {
    const outcome = await this.kubectl(["apply", "-f", "-"], { input: yaml });
    assert.equal(
      outcome.code,
      0,
      `kubectl apply exited with ${outcome.code}:\n${outcome.stdout}${outcome.stderr}\n${yaml}`,
    );
    return outcome.stdout + outcome.stderr;
  }

  async json(args: readonly string[]): Promise<unknown> {
    const parsed = parseJson(await this.kubectlOk([...args, "-o", "json"]));
    assert.ok(parsed.ok, `kubectl ${args.join(" ")} -o json printed no JSON`);
    return parsed.value;
  }

  async deploymentReady(namespace: string, name: string): Promise<void> {
    const args = ["rollout", "status", `deployment/${name}`, "-n", namespace, `--timeout=${READY_TIMEOUT_MS / 1000}s`];
    const outcome = await this.kubectl(args, { timeoutMs: READY_TIMEOUT_MS + 5_000 });
    if (outcome.code === 0) return;
    const pods = await this.kubectl(["describe", "pods", "-n", namespace]);
    assert.fail(
      `deployment ${namespace}/${name} is not ready: ${outcome.stdout}${outcome.stderr}\n${pods.stdout.slice(-6000)}`,
    );
  }

  async podReady(namespace: string, name: string): Promise<void> {
    const args = [
      "wait",
      "--for=condition=Ready",
      `pod/${name}`,
      "-n",
      namespace,
      `--timeout=${READY_TIMEOUT_MS / 1000}s`,
    ];
    const outcome = await this.kubectl(args, { timeoutMs: READY_TIMEOUT_MS + 5_000 });
    if (outcome.code === 0) return;
    const pod = await this.kubectl(["describe", "pod", name, "-n", namespace]);
    assert.fail(`pod ${namespace}/${name} is not ready: ${outcome.stderr}\n${pod.stdout.slice(-6000)}`);
  }

  /** The names of the running pods of an app, in order. */
  async pods(namespace: string, selector: string): Promise<readonly string[]> {
    const jsonpath = `{range .items[?(@.status.phase=="Running")]}{.metadata.name}{"\\n"}{end}`;
    const out = await this.kubectlOk(["get", "pods", "-n", namespace, "-l", selector, "-o", `jsonpath=${jsonpath}`]);
    return out
      .split("\n")
      .filter((name) => name !== "")
      .sort();
  }

  async pod(namespace: string, selector: string): Promise<string> {
    const [name] = await this.pods(namespace, selector);
    assert.ok(name !== undefined, `no pod runs in ${namespace} with ${selector}`);
    return name;
  }

  async podIP(namespace: string, name: string): Promise<string> {
    return this.kubectlOk(["get", "pod", name, "-n", namespace, "-o", "jsonpath={.status.podIP}"]);
  }

  exec(
    target: { readonly namespace: string; readonly pod: string; readonly container: string },
    command: readonly string[],
    options: RunOptions = {},
  ): Promise<Outcome> {
    return this.kubectl(
      ["exec", target.pod, "-n", target.namespace, "-c", target.container, "--", ...command],
      options,
    );
  }

  /** Asks the pod's sidecar, as the post does, from inside its container. */
  async admin(namespace: string, pod: string, path: string): Promise<string> {
    const host = this.mode === "explicit" ? await this.podIP(namespace, pod) : "localhost";
    const port = path.startsWith("/metrics/agent") ? 15020 : 15000;
    const url = `http://${host}:${port}${path.replace("/metrics/agent", "/stats/prometheus")}`;
    const outcome = await this.exec({ namespace, pod, container: "istio-proxy" }, [
      "curl",
      "-sS",
      "--noproxy",
      "*",
      url,
    ]);
    assert.equal(outcome.code, 0, `curl ${url} in ${pod}: ${outcome.stderr}`);
    return outcome.stdout;
  }

  async down(): Promise<void> {
    const outcome = await this.weft(["down"], { timeoutMs: 60_000 });
    assert.equal(outcome.code, 0, `weft down: ${outcome.stdout}${outcome.stderr}`);
  }

  /** Ends what a failed test left running; never fails itself. */
  async dispose(): Promise<void> {
    await this.weft(["down"], { timeoutMs: 30_000 });
    for (const pid of await processesNaming(this.folder)) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended by itself.
      }
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  async pid(): Promise<number> {
    const status = await this.weft(["status", "-o", "json"]);
    const parsed = parseJson(status.stdout);
    assert.ok(parsed.ok && isRecord(parsed.value), `weft status -o json printed ${status.stdout}${status.stderr}`);
    return Number(parsed.value["pid"]);
  }

  #options(options: RunOptions): RunOptions {
    const env = { ...environment(this.folder), KUBECONFIG: this.kubeconfig, ...options.env };
    return {
      ...options,
      cwd: options.cwd ?? this.folder,
      env,
      ...(this.user === undefined ? {} : { user: this.user }),
    };
  }
}

/** Every process whose command line or environment names the folder: what a cluster there has started. */
export async function processesNaming(folder: string): Promise<readonly number[]> {
  const script = `for p in /proc/[0-9]*; do [ "$p" = "/proc/$$" ] && continue; if { cat "$p/cmdline"; cat "$p/environ"; } 2>/dev/null | tr '\\0' '\\n' | grep -qF -- "$0"; then echo "\${p#/proc/}"; fi; done`;
  const outcome = await run(["sh", "-c", script, folder]);
  const own = new Set([process.pid]);
  return outcome.stdout
    .split("\n")
    .map(Number)
    .filter((pid) => pid > 0 && !own.has(pid) && existsSync(`/proc/${pid}/cmdline`));
}

/** What a cluster may leave on a machine besides processes. */
export async function machineState(): Promise<string> {
  const commands = [
    "ip -o link show | sed 's/^[0-9]*: //' | cut -d: -f1 | sort",
    "ip netns list",
    "nft list tables 2>/dev/null",
    "cut -d' ' -f2 /proc/self/mounts | grep -i weft",
    "ls /run/netns /var/run/netns 2>/dev/null",
  ];
  const outcome = await run(["sh", "-c", commands.map((command) => `{ ${command}; } ; true`).join("\n")], {
    env: { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` },
  });
  return outcome.stdout;
}

export async function nothingLeft(folder: string): Promise<void> {
  await eventually("everything ended", 10_000, async () => {
    const left = await processesNaming(folder);
    if (left.length === 0) return true;
    const listed = await run(["ps", "-o", "pid,ppid,args", "-p", left.join(",")]);
    return `processes left running:\n${listed.stdout}`;
  });
}
