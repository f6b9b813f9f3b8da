// An API server on a directory of its own, a client that speaks HTTPS to it, and a node that runs commands of this machine.

import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import https from "node:https";
import { connect } from "node:net";
import os from "node:os";
import path from "node:path";
import { PassThrough, Readable } from "node:stream";
import type { TestContext } from "node:test";
import { parse } from "yaml";
import { istioKinds } from "../../../../src/api/istio/kinds.ts";
import { kubernetesKinds } from "../../../../src/api/kubernetes/kinds.ts";
import type { AdmissionPlugin } from "../../../../src/apiserver/admission.ts";
import type { PodRuntime } from "../../../../src/apiserver/pod-runtime.ts";
import { type ApiServer, startApiServer } from "../../../../src/apiserver/start.ts";
import { type Clock, systemClock } from "../../../../src/base/clock.ts";
import { err, ok } from "../../../../src/base/result.ts";

export interface Answer {
  readonly code: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests read into answers of every shape
  readonly body: any;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface TestServer {
  readonly api: ApiServer;
  readonly dataDir: string;
  readonly token: string;
  readonly kubeconfigPath: string;
  call(method: string, url: string, body?: unknown, options?: CallOptions): Promise<Answer>;
  /** Events of a watch as they arrive; ends when the server ends it or the iterator is left. */
  watch(
    url: string,
  ): AsyncGenerator<{ type: string; object: Record<string, never> & { metadata: Record<string, string> } }>;
}

export interface CallOptions {
  readonly type?: string;
  readonly accept?: string;
  readonly token?: string | undefined;
  /** Sent as it is. */
  readonly raw?: string;
}

export function temporaryDirectory(context: TestContext): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "weft-api-"));
  context.after(() => fs.rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export async function startTestServer(
  context: TestContext,
  options: { admission?: readonly AdmissionPlugin[]; clock?: Clock; dataDir?: string } = {},
): Promise<TestServer> {
  const dataDir = options.dataDir ?? temporaryDirectory(context);
  const started = await startApiServer({
    dataDir,
    kinds: [...kubernetesKinds, ...istioKinds],
    listen: { host: "127.0.0.1", port: 0 },
    admission: options.admission ?? [],
    podRuntime: localRuntime,
    clock: options.clock ?? systemClock,
  });
  if (!started.ok) throw new Error(started.error);
  const api = started.value;
  context.after(() => api.close());
  const kubeconfigPath = path.join(dataDir, "kubeconfig");
  fs.writeFileSync(kubeconfigPath, api.kubeconfig(), { mode: 0o600 });
  const token: string = parse(api.kubeconfig()).users[0].user.token;
  const request = (method: string, url: string, call: CallOptions): https.RequestOptions => ({
    ...api.address,
    method,
    path: url,
    ca: api.caPem,
    servername: "localhost",
    agent: false,
    headers: {
      "content-type": call.type ?? "application/json",
      accept: call.accept ?? "application/json",
      ...("token" in call && call.token === undefined ? {} : { authorization: `Bearer ${call.token ?? token}` }),
    },
  });
  return {
    api,
    dataDir,
    token,
    kubeconfigPath,
    call: (method, url, body, call = {}) =>
      new Promise((resolve, reject) => {
        const sent = https.request(request(method, url, call), async (response) => {
          const text = await new Response(Readable.toWeb(response) as ReadableStream).text();
          const isJson = response.headers["content-type"]?.startsWith("application/json");
          resolve({
            code: response.statusCode ?? 0,
            body: isJson ? JSON.parse(text) : text,
            headers: response.headers,
          });
        });
        sent.on("error", reject);
        const text = call.raw ?? (body === undefined ? "" : JSON.stringify(body));
        sent.setHeader("content-length", Buffer.byteLength(text));
        sent.end(text);
      }),
    async *watch(url) {
      const response = await new Promise<import("node:http").IncomingMessage>((resolve, reject) => {
        https
          .request(request("GET", url, {}), resolve)
          .on("error", reject)
          .end();
      });
      let rest = "";
      try {
        for await (const chunk of response) {
          const lines = (rest + String(chunk)).split("\n");
          rest = lines.pop() ?? "";
          for (const line of lines) yield JSON.parse(line);
        }
      } finally {
        response.destroy();
      }
    },
  };
}

/** Commands run on this machine; logs are two lines. */
const localRuntime: PodRuntime = {
  async logs(ref, options) {
    const lines = [`${ref.container} says one\n`, `${ref.container} says two\n`];
    const wanted = lines.slice(-(options.tailLines ?? lines.length));
    if (!options.follow) return ok(Readable.from(wanted.map((line) => Buffer.from(line))));
    const stream = new PassThrough();
    for (const line of wanted) stream.write(line);
    return ok(stream);
  },
  async exec(_ref, request) {
    const [command = "true", ...args] = request.command;
    const child = spawn(command, args);
    if (!request.stdin) child.stdin.end();
    return ok({
      stdin: child.stdin,
      stdout: child.stdout,
      stderr: child.stderr,
      exited: new Promise((resolve) => child.on("close", (code) => resolve({ exitCode: code ?? 1 }))),
      kill: () => child.kill("SIGKILL"),
      resize: undefined,
    });
  },
  async attach(ref) {
    return localRuntime.exec(ref, { command: ["cat"], stdin: true, tty: false });
  },
  async dial(_ref, port) {
    const socket = connect({ host: "127.0.0.1", port });
    const opened = await once(socket, "connect").then(
      () => undefined,
      (error: Error) => error,
    );
    return opened === undefined ? ok(socket) : err({ code: 502, reason: "BadGateway", message: opened.message });
  },
  async usage() {
    return ok({ node: "weft", windowMs: 1000, pods: [] });
  },
};

export function pod(name: string, extra: object = {}): Record<string, unknown> {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, ...extra },
    spec: { containers: [{ name: "app", image: "app:1" }] },
  };
}
