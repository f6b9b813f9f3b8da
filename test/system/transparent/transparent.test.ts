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
import { findTool } from "../../../src/node/transparent/script.ts";

const here = dirname(new URL(import.meta.url).pathname);
const probe = await probeTransparent();
const isRoot = process.getuid?.() === 0;
const users = isRoot && findTool("runuser") !== undefined ? ["root", "nobody"] : ["self"];

for (const user of users) {
  describe(`transparent mode as ${user}`, { skip: probe.works ? false : probe.reason, timeout: 120_000 }, () => {
    const directory = mkdtempSync(join(tmpdir(), "weft-transparent-"));
    chmodSync(directory, 0o777);
    let seen: Record<string, any> = {};

    before(async () => {
      const outer = start(user, directory, "drive");
      const timer = setTimeout(() => outer.kill("SIGKILL"), 60_000);
      await new Promise((resolve) => outer.on("exit", resolve));
      clearTimeout(timer);
      seen = JSON.parse(readFileSync(join(directory, "seen.json"), "utf8"));
    });
    after(() => rmSync(directory, { recursive: true, force: true }));

    it("makes a pod's two namespaces in less than 150 ms", () => {
      assert.ok(seen["createMs"] < 150, `${seen["createMs"]} ms`);
    });

    it("leads both directions to the proxy with their original destinations", () => {
      const { a, b } = seen["ips"];
      assert.equal(seen["toPod"], `b 169.254.0.1`);
      assert.equal(seen["toService"], `b 169.254.0.1`);
      const [pod, toService] = seen["logs"].a.map((line: string) => JSON.parse(line));
      assert.deepEqual([pod.port, pod.target], [15001, `${b}:8080`]);
      assert.deepEqual([toService.port, toService.target], [15001, "10.96.0.20:80"]);
      const inbound = JSON.parse(seen["logs"].b[0]);
      assert.deepEqual(inbound, { port: 15006, target: `${b}:8080`, peer: a });
    });

    it("does not capture a tool that exec starts beside the proxy", () => {
      assert.equal(seen["sidecarTool"], `plain ${seen["ips"].a}`);
      assert.equal(seen["sidecarToolCaptured"], false);
    });

    it("lets a pod reach itself by its address and by its service", () => {
      assert.equal(seen["ownAddress"], `a ${seen["ips"].a}`);
      assert.match(seen["ownService"], /^a /);
      assert.match(seen["plainToPlain"], /^plain /);
    });

    it("leads the application's localhost:15000 to the proxy", () => assert.equal(seen["admin"], "15000"));

    it("routes service addresses where no proxy does, and refuses one without endpoints at once", () => {
      assert.match(seen["plainToMesh"], /^b /);
      assert.match(seen["nodeToService"], new RegExp(`^plain ${seen["ips"].node}$`));
      assert.equal(seen["emptyService"], "ECONNREFUSED");
    });

    it("passes the node's probes through the proxy, and readiness to the proxy itself", () => {
      assert.match(seen["probe"], /^b /);
      assert.equal(JSON.parse(seen["bLog"]).peer, seen["ips"].node);
      assert.equal(seen["probe15021"], "15021");
    });

    it("resolves names, and lets UDP and ICMP pass", () => {
      assert.match(seen["getent"], /^10\.96\.0\.20\s+b\.prod\.svc\.cluster\.local/);
      assert.equal(seen["headless"], [seen["ips"].a, seen["ips"].b].sort().join());
      assert.equal(seen["udp"], seen["ips"].a);
      assert.match(seen["ping"], /ok|none/);
    });

    it("shows a container its mounts, also where the machine has no such path", () => {
      assert.equal(seen["mount"], "secret");
      assert.equal(seen["written"], "chain");
      assert.equal(seen["writtenElsewhere"], "none");
      assert.equal(existsSync("/etc/certs/out/cert-chain.pem"), false);
      assert.equal(seen["hostname"], "a");
    });

    it("passes on input, exit codes and signals", () => {
      assert.equal(seen["stdin"], "through");
      assert.deepEqual(seen["execCode"], { kind: "exited", code: 3 });
      assert.deepEqual(seen["execSignal"], { kind: "signaled", signal: "SIGKILL", outOfMemory: false });
      assert.deepEqual(seen["execNothing"], { kind: "exited", code: 126 });
      assert.deepEqual(seen["execMissing"], { kind: "exited", code: 127 });
      assert.deepEqual(seen["execTerm"], { kind: "signaled", signal: "SIGTERM", outOfMemory: false });
      assert.deepEqual(seen["appTerm"], { kind: "exited", code: 7 });
      assert.deepEqual(seen["sleeperEnd"], { kind: "signaled", signal: "SIGKILL", outOfMemory: false });
      assert.equal(seen["restarted"], "again");
    });

    it("ends a container that takes more memory than its limit, or says that limits don't hold", () => {
      const enforced = /enforced \(/.test(seen["limits"]);
      assert.deepEqual(seen["memory"], { kind: "signaled", signal: "SIGKILL", outOfMemory: enforced });
      if (!enforced) assert.match(seen["limits"], /recorded, not enforced/);
    });

    it("reaps orphans and leaves nothing behind", () => {
      assert.equal(seen["orphans"], 0);
      assert.deepEqual(seen["left"].after, seen["left"].before);
      assert.deepEqual(groups(), []);
    });

    it("leaves nothing behind when the outermost process is killed", async () => {
      const outer = start(user, directory, "hold");
      for (let waited = 0; waited < 100 && !existsSync(join(directory, "holding")); waited++) await delay(100);
      assert.ok(processesOf(directory).length >= 4, "the node, its first process and the pod's run");
      const self = processesOf(directory).find(
        (pid) => commandOf(pid).includes("outside.ts") && !commandOf(pid).includes("runuser"),
      );
      process.kill(self ?? outer.pid ?? 0, "SIGKILL");
      for (let waited = 0; waited < 50 && processesOf(directory).length > 0; waited++) await delay(50);
      assert.deepEqual(processesOf(directory).map(commandOf), []);
      assert.ok(!readFileSync("/proc/self/mountinfo", "utf8").includes(directory));
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

function commandOf(pid: number): string {
  return read(`/proc/${pid}/cmdline`).replaceAll("\0", " ");
}

function groups(): string[] {
  return ["/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpu", "/sys/fs/cgroup"]
    .filter((parent) => existsSync(parent))
    .flatMap((parent) => execFileSync("ls", [parent], { encoding: "utf8" }).split("\n"))
    .filter((name) => name.startsWith("weft-"));
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
