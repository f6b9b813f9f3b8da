// examples/gateway on a local cluster, applied by the real kubectl and called from the host, in the mode that works here and in the explicit one.

import assert from "node:assert/strict";
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { kubectlAbsence } from "../kubectl/kubectl.ts";

const root = path.join(import.meta.dirname, "../../..");
const run = promisify(execFile);
const skip = kubectlAbsence() ?? false;
const START_MS = 60_000;

for (const mode of ["auto", "explicit"] as const) {
  test(`the example serves HTTP, redirects, and serves HTTPS once its credential is there (--intercept ${mode})`, {
    skip,
    timeout: 180_000,
  }, async (t) => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "weft-gateway-"));
    const env = { ...process.env, KUBECONFIG: path.join(directory, "data/kubeconfig"), HOME: directory };
    t.after(() => fs.rmSync(directory, { recursive: true, force: true }));
    const published = await startCluster(t, path.join(directory, "data"), mode);
    const kubectl = async (...args: readonly string[]): Promise<string> =>
      (await run("kubectl", [...args], { env })).stdout;
    await kubectl("apply", "-f", path.join(root, "examples/gateway"));
    await kubectl("rollout", "status", "-n", "edge", "deployment/ingress", "--timeout=60s");
    await kubectl("rollout", "status", "-n", "production", "deployment/web", "--timeout=60s");
    await kubectl("wait", "--for=condition=Programmed", "-n", "edge", "gateway/ingress", "--timeout=30s");

    const forward = spawn("kubectl", ["port-forward", "-n", "edge", "svc/ingress", ":80", ":443"], { env });
    t.after(() => forward.kill());
    const [plain, secure] = await forwardedPorts(forward);
    const hello = await get({ port: plain, host: "web.example.com", path: "/a" });
    assert.equal(hello.status, 200);
    assert.match(hello.body, /this is \/a/);
    assert.equal((await get({ port: published, host: "web.example.com", path: "/p" })).status, 200, "by --publish");
    const redirect = await get({ port: plain, host: "secure.example.com", path: "/b" });
    assert.deepEqual([redirect.status, redirect.location], [301, "https://secure.example.com/b"]);
    assert.match(await resolvedRefs(kubectl), /Secret edge\/web-credential.*does not exist/);

    const pem = path.join(directory, "cert.pem");
    const key = path.join(directory, "key.pem");
    const names = "subjectAltName=DNS:web.example.com,DNS:secure.example.com";
    const keyArgs = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key];
    execFileSync(
      "openssl",
      ["req", "-x509", ...keyArgs, "-out", pem, "-days", "2", "-subj", "/CN=web.example.com", "-addext", names],
      { stdio: "ignore" },
    );
    await kubectl("create", "secret", "tls", "web-credential", "-n", "edge", "--cert", pem, "--key", key);
    await eventually(
      async () => (await get({ port: secure, host: "secure.example.com", path: "/c", ca: pem })).status === 200,
    );
    await eventually(async () => (await resolvedRefs(kubectl)) === "");
  });
}

async function startCluster(t: TestContext, dataDir: string, mode: string): Promise<number> {
  const main = path.join(root, "src/main.ts");
  const cluster = spawn(
    process.execPath,
    [main, "up", "--data-dir", dataDir, "--intercept", mode, "--publish", "edge/ingress:80"],
    {
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  t.after(async () => {
    const ended = new Promise((resolve) => cluster.once("exit", resolve));
    cluster.kill();
    await ended;
  });
  const text = await lineOf(cluster, /edge\/ingress:80 is at 127\.0\.0\.1:\d+\n/);
  return Number(/ingress:80 is at 127\.0\.0\.1:(\d+)/.exec(text)?.[1]);
}

function lineOf(child: ChildProcess, wanted: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const late = setTimeout(() => reject(new Error(`no ${wanted} within ${START_MS} ms:\n${text}`)), START_MS);
    const take = (chunk: Buffer): void => {
      text += chunk.toString();
      if (!wanted.test(text)) return;
      clearTimeout(late);
      resolve(text);
    };
    child.stdout?.on("data", take);
    child.stderr?.on("data", take);
    child.once("exit", () => reject(new Error(`it ended:\n${text}`)));
  });
}

async function forwardedPorts(forward: ChildProcess): Promise<readonly [number, number]> {
  const text = await lineOf(forward, /127\.0\.0\.1:\d+ -> 8080[\s\S]*127\.0\.0\.1:\d+ -> 8443/);
  const port = (target: number): number => Number(new RegExp(`127\\.0\\.0\\.1:(\\d+) -> ${target}`).exec(text)?.[1]);
  return [port(8080), port(8443)];
}

async function resolvedRefs(kubectl: (...args: readonly string[]) => Promise<string>): Promise<string> {
  const jsonpath = `jsonpath={.status.conditions[?(@.type=="ResolvedRefs")].message}`;
  return kubectl("get", "gateway", "ingress", "-n", "edge", "-o", jsonpath);
}

interface Asked {
  readonly port: number;
  readonly host: string;
  readonly path: string;
  readonly ca?: string;
}

function get({
  port,
  host,
  path: at,
  ca,
}: Asked): Promise<{ status: number; location: string | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, path: at, headers: { host }, agent: false, timeout: 5_000 };
    const take = (response: http.IncomingMessage): void => {
      let body = "";
      response.on("data", (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, location: response.headers.location, body }),
      );
    };
    const request =
      ca === undefined
        ? http.get(options, take)
        : https.get({ ...options, servername: host, ca: fs.readFileSync(ca) }, take);
    request.on("error", reject);
  });
}

/** Until it holds; what it throws meanwhile is no answer either. */
async function eventually(holds: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 15_000;
  for (;;) {
    const answer = await holds().then(
      (held) => ({ held, why: "it does not hold" }),
      (error: unknown) => ({ held: false, why: String(error) }),
    );
    if (answer.held) return;
    assert.ok(performance.now() < endMs, answer.why);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
