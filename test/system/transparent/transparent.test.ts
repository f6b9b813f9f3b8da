// The transparent mode for real: the launcher, the provider inside it, two pods with a stand-in for the proxy.
// As the user that runs the tests and, where that is root, as an unprivileged one too.

import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { probeTransparent } from "../../../src/cluster/launch/probe.ts";
import { cgroupName, openCgroups } from "../../../src/node/transparent/cgroup.ts";
import { findTool } from "../../../src/node/transparent/script.ts";

interface Left {
  readonly before: unknown;
  readonly after: unknown;
}

/** What inside.ts writes. */
interface Seen {
  readonly texts: Readonly<Record<string, string>>;
  readonly ends: Readonly<Record<string, unknown>>;
  readonly ips: { readonly a: string; readonly b: string; readonly plain: string; readonly node: string };
  readonly logs: { readonly a: readonly string[]; readonly b: readonly string[] };
  readonly left: Left;
  readonly createMs: number;
  readonly orphans: number;
  readonly sidecarToolCaptured: boolean;
}

const emptySeen: Seen = {
  texts: {},
  ends: {},
  ips: { a: "", b: "", plain: "", node: "" },
  logs: { a: [], b: [] },
  left: { before: undefined, after: undefined },
  createMs: 0,
  orphans: 0,
  sidecarToolCaptured: false,
};

const here = dirname(new URL(import.meta.url).pathname);
const probe = await probeTransparent();
const isRoot = process.getuid?.() === 0;
const users = isRoot && findTool("runuser") !== undefined ? ["root", "nobody"] : ["self"];

for (const user of users) {
  describe(`transparent mode as ${user}`, { skip: probe.works ? false : probe.reason, timeout: 120_000 }, () => {
    // With a space, as folders of people have.
    const directory = mkdtempSync(join(tmpdir(), "weft transparent-"));
    chmodSync(directory, 0o777);
    let seen: Seen = emptySeen;

    before(async () => {
      const outer = start(user, directory, "drive");
      const timer = setTimeout(() => outer.kill("SIGKILL"), 60_000);
      await new Promise((resolve) => outer.on("exit", resolve));
      clearTimeout(timer);
      seen = JSON.parse(readFileSync(join(directory, "seen.json"), "utf8"));
    });
    after(() => rmSync(directory, { recursive: true, force: true }));

    it("makes a pod's two namespaces in less than 150 ms", () => {
      assert.ok(seen.createMs < 150, `${seen.createMs} ms`);
    });

    it("leads both directions to the proxy with their original destinations", () => {
      const { a, b } = seen.ips;
      assert.equal(seen.texts["toPod"], `b 169.254.0.1`);
      assert.equal(seen.texts["toService"], `b 169.254.0.1`);
      const [pod, toService] = seen.logs.a.map((line: string) => JSON.parse(line));
      assert.deepEqual([pod.port, pod.target], [15001, `${b}:8080`]);
      assert.deepEqual([toService.port, toService.target], [15001, "10.96.0.20:80"]);
      const inbound = JSON.parse(seen.logs.b[0] ?? "{}");
      assert.deepEqual(inbound, { port: 15006, target: `${b}:8080`, peer: a });
    });

    it("leads an application's questions to its proxy, where the pod says so", () => {
      assert.equal(seen.texts["namedPartner"], "240.240.1.1");
      assert.equal(seen.texts["namedOverTcp"], "240.240.1.1");
      assert.equal(seen.texts["namedService"], "10.96.0.20", "what the proxy doesn't know, it asks of the node");
      assert.notEqual(seen.texts["unnamedPartner"], "240.240.1.1", "the proxy's own questions go to the node");
    });

    it("does not capture a tool that exec starts beside the proxy", () => {
      assert.equal(seen.texts["sidecarTool"], `plain ${seen.ips.a}`);
      assert.equal(seen.sidecarToolCaptured, false);
    });

    it("lets a pod reach itself by its address and by its service", () => {
      assert.equal(seen.texts["ownAddress"], `a ${seen.ips.a}`);
      assert.match(seen.texts["ownService"] ?? "", /^a /);
      assert.match(seen.texts["selfCall"] ?? "", /^a /);
      assert.equal(JSON.parse(seen.texts["selfCallLog"] ?? "{}").port, 15006);
      assert.match(seen.texts["plainToPlain"] ?? "", /^plain /);
    });

    it("leads the proxy's localhost to the application's", () =>
      assert.equal(seen.texts["ownLoopback"], "loopback 127.0.0.1"));
    it("leads the application's localhost:15000 to the proxy", () => assert.equal(seen.texts["admin"], "15000"));

    it("routes service addresses where no proxy does, and refuses one without endpoints at once", () => {
      assert.match(seen.texts["plainToMesh"] ?? "", /^b /);
      assert.match(seen.texts["nodeToService"] ?? "", new RegExp(`^plain ${seen.ips.node}$`));
      assert.equal(seen.texts["emptyService"], "ECONNREFUSED");
    });

    it("passes the node's probes through the proxy, and readiness to the proxy itself", () => {
      assert.match(seen.texts["probe"] ?? "", /^b /);
      assert.equal(JSON.parse(seen.texts["bLog"] ?? "{}").peer, seen.ips.node);
      assert.equal(seen.texts["probe15021"], "15021");
    });

    it("resolves names, and lets UDP and ICMP pass", () => {
      assert.match(seen.texts["getent"] ?? "", /^10\.96\.0\.20\s+b\.prod\.svc\.cluster\.local/);
      assert.equal(seen.texts["headless"], [seen.ips.a, seen.ips.b].sort().join());
      assert.equal(seen.texts["udp"], seen.ips.a);
      assert.match(seen.texts["ping"] ?? "", /ok|none/);
    });

    it("shows a container its mounts, also where the machine has no such path", () => {
      assert.equal(seen.texts["mount"], "secret");
      assert.equal(seen.texts["written"], "chain");
      assert.equal(seen.texts["writtenElsewhere"], "none");
      assert.equal(existsSync("/etc/certs/out/cert-chain.pem"), false);
      assert.equal(seen.texts["hostname"], "a");
    });

    it("passes on input, exit codes and signals", () => {
      assert.equal(seen.texts["stdin"], "through");
      assert.deepEqual(seen.ends["execCode"], { kind: "exited", code: 3 });
      assert.deepEqual(seen.ends["execSignal"], { kind: "signaled", signal: "SIGKILL", outOfMemory: false });
      assert.deepEqual(seen.ends["execNothing"], { kind: "exited", code: 126 });
      assert.deepEqual(seen.ends["execMissing"], { kind: "exited", code: 127 });
      assert.deepEqual(seen.ends["execTerm"], { kind: "signaled", signal: "SIGTERM", outOfMemory: false });
      assert.deepEqual(seen.ends["appTerm"], { kind: "exited", code: 7 });
      assert.deepEqual(seen.ends["sleeperEnd"], { kind: "signaled", signal: "SIGKILL", outOfMemory: false });
      assert.equal(seen.texts["restarted"], "again");
    });

    it("ends a container that takes more memory than its limit, or says that limits don't hold", () => {
      const enforced = /enforced \(/.test(seen.texts["limits"] ?? "");
      assert.deepEqual(seen.ends["memory"], { kind: "signaled", signal: "SIGKILL", outOfMemory: enforced });
      if (!enforced) assert.match(seen.texts["limits"] ?? "", /recorded, not enforced/);
    });

    it("reaps orphans and leaves nothing behind", () => {
      assert.equal(seen.orphans, 0);
      assert.deepEqual(seen.left.after, seen.left.before);
      assert.deepEqual(groups(directory), []);
    });

    it("answers on a socket that was opened outside, and ends gracefully when asked to", async () => {
      const outer = start(user, directory, "hold");
      const ended = new Promise((resolve) => outer.on("exit", resolve));
      await appears(join(directory, "holding"));
      const answer = await fetch(`http://127.0.0.1:${read(join(directory, "port"))}/`);
      assert.equal(await answer.text(), "inherited");
      process.kill(outermost(directory) ?? 0, "SIGTERM");
      assert.equal(await ended, 3);
      assert.ok(existsSync(join(directory, "graceful")));
      assert.deepEqual(processesOf(directory).map(commandOf), []);
      rmSync(join(directory, "holding"));
    });

    it("leaves nothing behind when the outermost process is killed", async () => {
      const outer = start(user, directory, "hold");
      await appears(join(directory, "holding"));
      assert.ok(processesOf(directory).length >= 4, "the node, its first process and the pod's run");
      process.kill(outermost(directory) ?? outer.pid ?? 0, "SIGKILL");
      for (let waited = 0; waited < 50 && processesOf(directory).length > 0; waited++) await delay(50);
      assert.deepEqual(processesOf(directory).map(commandOf), []);
      assert.ok(!readFileSync("/proc/self/mountinfo", "utf8").includes(directory));
      // Control groups outlive a crash: the next run on the directory finds and removes them.
      await (await openCgroups(directory)).remove();
      assert.deepEqual(groups(directory), []);
    });
  });
}

function start(user: string, directory: string, mode: string): ChildProcess {
  const command = [process.execPath, join(here, "outside.ts"), directory, mode];
  const argv = user === "nobody" ? ["runuser", "-u", "nobody", "--", ...command] : command;
  const [program = "", ...args] = argv;
  return spawn(program, args, { stdio: ["ignore", "inherit", "inherit"], env: { ...process.env, HOME: directory } });
}

/** Processes whose command line or environment names the directory: everything that the launcher started does. */
function processesOf(directory: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => `${read(`/proc/${pid}/environ`)}${read(`/proc/${pid}/cmdline`)}`.includes(directory))
    .map(Number);
}

async function appears(file: string): Promise<void> {
  for (let waited = 0; waited < 100 && !existsSync(file); waited++) await delay(100);
}

/** What stands for `weft up` on the machine, past the tool that changes the user. */
function outermost(directory: string): number | undefined {
  return processesOf(directory).find((pid) => /^\S*node \S*outside\.ts/.test(commandOf(pid)));
}

function commandOf(pid: number): string {
  return read(`/proc/${pid}/cmdline`).replaceAll("\0", " ");
}

function groups(directory: string): string[] {
  if (!existsSync("/sys/fs/cgroup")) return [];
  const found = execFileSync("find", ["/sys/fs/cgroup", "-name", cgroupName(directory)], { encoding: "utf8" });
  return found.split("\n").filter((line) => line !== "");
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
