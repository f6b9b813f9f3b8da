// Single pods: images, environment, files, restarts, probes, stopping, logs and exec, with real processes.

import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { configMapKind } from "../../../src/api/kubernetes/config-map.ts";
import { type Pod, podKind } from "../../../src/api/kubernetes/pod.ts";
import { secretKind } from "../../../src/api/kubernetes/secret.ts";
import type { LogOptions } from "../../../src/apiserver/pod-runtime.ts";
import {
  eventsOf,
  eventually,
  gone,
  isReady,
  NAMESPACE,
  openWorld,
  pod,
  podWhen,
  removeDirectory,
  script,
  server,
  temporaryDirectory,
  value,
  type World,
} from "./world.ts";

let world: World;
const dataDir = temporaryDirectory();
const note = join(dataDir, "order.txt");

before(async () => {
  // Stands in for the sidecar: ready on 15021 after a moment, says when it begins and ends.
  const proxy = script(`
    const fs = require("node:fs"), http = require("node:http");
    const note = (text) => fs.appendFileSync(${JSON.stringify(note)}, text + "\\n");
    note("proxy " + process.argv.slice(1).join(" "));
    process.on("SIGTERM", () => { note("proxy ends"); process.exit(0); });
    setTimeout(() => { note("proxy ready"); http.createServer((q, r) => r.end()).listen(15021, process.env.HOST); }, 300);
  `);
  world = await openWorld({ dataDir, proxyCommand: [...proxy, "--"] });
});

after(async () => {
  await world.close();
  removeDirectory(dataDir);
});

const EVERYTHING: LogOptions = {
  follow: false,
  previous: false,
  timestamps: false,
  tailLines: undefined,
  sinceMs: undefined,
  limitBytes: undefined,
};

async function create(made: Pod): Promise<Pod> {
  return value(await world.client.create(podKind, made));
}

async function logOf(found: Pod, container: string, options: Partial<LogOptions> = {}): Promise<string> {
  const ref = { namespace: NAMESPACE, pod: found.metadata.name, uid: found.metadata.uid ?? "", container };
  return read(value(await world.node.runtime.logs(ref, { ...EVERYTHING, ...options })));
}

async function read(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString("utf8");
}

async function remove(name: string): Promise<void> {
  value(await world.client.remove(podKind, { namespace: NAMESPACE, name }));
  await gone(world, name);
}

const stateOf = (found: Pod) => found.status?.containerStatuses?.[0];

test("an image without a command waits and says how to give it one, then starts", async () => {
  await create(pod("imageless", { containers: [{ name: "app", image: "nobody:1" }] }));
  const waiting = await podWhen(
    world,
    "imageless",
    (found) => stateOf(found)?.state?.waiting?.reason === "ImagePullBackOff",
  );
  assert.equal(waiting.status?.phase, "Pending");
  assert.match(stateOf(waiting)?.state?.waiting?.message ?? "", /weft image set nobody:1 -- COMMAND/);
  const events = await eventually(async () => {
    const found = await eventsOf(world, "imageless");
    return found.some((event) => event.startsWith("Failed: ")) ? found : undefined;
  }, "the event");
  assert.match(events.join("\n"), /Failed: image "nobody:1" has no local command; .*weft image set nobody:1/);
  value(world.images.set("nobody", { command: server("here"), args: [], workingDirectory: undefined }));
  const running = await podWhen(world, "imageless", isReady);
  assert.equal(running.status?.phase, "Running");
  await remove("imageless");
});

test("environment, arguments and files come from fields, ConfigMaps and Secrets", async () => {
  const at = (name: string) => ({ metadata: { name, namespace: NAMESPACE }, apiVersion: "v1" });
  value(await world.client.create(configMapKind, { ...at("settings"), kind: "ConfigMap", data: { color: "blue" } }));
  const data = { password: Buffer.from("s3cret").toString("base64") };
  value(await world.client.create(secretKind, { ...at("keys"), kind: "Secret", data }));
  const spec = {
    restartPolicy: "Never",
    volumes: [
      { name: "config", configMap: { name: "settings" } },
      {
        name: "all",
        projected: {
          sources: [
            { serviceAccountToken: { path: "token", audience: "istio-ca" } },
            { downwardAPI: { items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }] } },
          ],
        },
      },
    ],
    containers: [
      {
        name: "app",
        image: "unused",
        command: script(`
          const fs = require("node:fs"), root = process.env.WEFT_FILES_ROOT, e = process.env;
          console.log(JSON.stringify({
            name: e.NAME, same: e.IP === e.HOST, color: e.CFG_color, password: e.PASSWORD, greeting: e.GREETING,
            limit: e.LIMIT, port: e.PORT, args: process.argv.slice(1),
            file: fs.readFileSync(root + "/etc/config/color", "utf8"),
            labels: fs.readFileSync(root + "/var/all/labels", "utf8"),
            audience: JSON.parse(Buffer.from(fs.readFileSync(root + "/var/all/token", "utf8").split(".")[1], "base64url")).aud,
            account: fs.existsSync(root + "/var/run/secrets/kubernetes.io/serviceaccount/token"),
          }));`),
        args: ["$(NAME)", "$$(NAME)", "$(UNKNOWN)"],
        ports: [{ containerPort: 9090 }],
        resources: { limits: { memory: "64Mi" } },
        env: [
          { name: "NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
          { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
          { name: "GREETING", value: "hello $(NAME)" },
          { name: "PASSWORD", valueFrom: { secretKeyRef: { name: "keys", key: "password" } } },
          { name: "GONE", valueFrom: { configMapKeyRef: { name: "none", key: "x", optional: true } } },
          { name: "LIMIT", valueFrom: { resourceFieldRef: { resource: "limits.memory", divisor: "1Mi" } } },
        ],
        envFrom: [{ prefix: "CFG_", configMapRef: { name: "settings" } }],
        volumeMounts: [
          { name: "config", mountPath: "/etc/config" },
          { name: "all", mountPath: "/var/all" },
        ],
      },
    ],
  } as const;
  await create(pod("curious", spec, { app: "curious" }));
  const done = await podWhen(world, "curious", (found) => found.status?.phase === "Succeeded");
  assert.equal(stateOf(done)?.state?.terminated?.reason, "Completed");
  assert.deepEqual(JSON.parse(await logOf(done, "app")), {
    name: "curious",
    same: true,
    color: "blue",
    password: "s3cret",
    greeting: "hello curious",
    limit: "64",
    port: "9090",
    args: ["curious", "$(NAME)", "$(UNKNOWN)"],
    file: "blue",
    labels: 'app="curious"',
    audience: ["istio-ca"],
    account: true,
  });
});

test("a crashing container restarts at once, then waits longer each time, and keeps what happened before", async () => {
  const command = script('console.log("run"); process.exit(3)');
  await create(pod("crasher", { containers: [{ name: "app", image: "x", command }] }));
  const waiting = await podWhen(world, "crasher", (found) => {
    return stateOf(found)?.state?.waiting?.reason === "CrashLoopBackOff" && (stateOf(found)?.restartCount ?? 0) >= 2;
  });
  assert.equal(waiting.status?.phase, "Running");
  const last = stateOf(waiting)?.lastState?.terminated;
  assert.deepEqual([last?.exitCode, last?.reason], [3, "Error"]);
  assert.match(stateOf(waiting)?.state?.waiting?.message ?? "", /^back-off .* restarting failed container=app/);
  const events = await eventsOf(world, "crasher");
  assert.ok(events.some((event) => event.startsWith("BackOff: Back-off restarting failed container app")));
  assert.equal(await logOf(waiting, "app", { previous: true }), "run\n");
  await remove("crasher");
});

test("a command that does not exist is a StartError that names it", async () => {
  await create(
    pod("typo", { restartPolicy: "Never", containers: [{ name: "app", image: "x", command: ["no-such-program"] }] }),
  );
  const over = await podWhen(world, "typo", (found) => found.status?.phase === "Failed");
  const ended = stateOf(over)?.state?.terminated;
  assert.deepEqual([ended?.exitCode, ended?.reason], [128, "StartError"]);
  assert.match(ended?.message ?? "", /"no-such-program": executable file not found in \$PATH/);
  await remove("typo");
});

test("a failing liveness probe restarts the container, readiness follows the answer", async () => {
  const flag = join(dataDir, "healthy");
  writeFileSync(flag, "");
  const probe = (path: string) => ({ periodSeconds: 1, failureThreshold: 1, exec: { command: ["test", "-e", path] } });
  const container = {
    name: "app",
    image: "x",
    command: server("x"),
    livenessProbe: probe(flag),
    readinessProbe: probe(flag),
  };
  await create(pod("probed", { terminationGracePeriodSeconds: 1, containers: [container] }));
  await podWhen(world, "probed", isReady);
  removeDirectory(flag);
  const restarted = await podWhen(world, "probed", (found) => (stateOf(found)?.restartCount ?? 0) >= 1);
  assert.equal(isReady(restarted), false);
  writeFileSync(flag, "");
  await podWhen(world, "probed", isReady);
  const events = (await eventsOf(world, "probed")).join("\n");
  assert.match(events, /Unhealthy: Liveness probe failed/);
  assert.match(events, /Killing: Container app failed liveness probe, will be restarted/);
  await remove("probed");
});

test("the proxy starts first and ends last; preStop runs before SIGTERM; the grace period ends in SIGKILL", async () => {
  const say = (text: string) =>
    `require("node:fs").appendFileSync(${JSON.stringify(note)}, ${JSON.stringify(`${text}\n`)})`;
  const app = script(
    `${say("app starts")}; process.on("SIGTERM", () => { ${say("app is told")} }); setInterval(() => {}, 1000)`,
  );
  await create(
    pod("meshed", {
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: "app",
          image: "x",
          command: app,
          lifecycle: { preStop: { exec: { command: script(say("preStop")) } } },
        },
        {
          name: "istio-proxy",
          image: "registry.example/weft/proxy:9",
          args: ["proxy", "sidecar", "--domain", "$(POD_NAMESPACE).svc"],
          env: [{ name: "POD_NAMESPACE", valueFrom: { fieldRef: { fieldPath: "metadata.namespace" } } }],
          readinessProbe: { httpGet: { port: 15021, path: "/healthz/ready" }, periodSeconds: 15 },
        },
      ],
    }),
  );
  await podWhen(world, "meshed", isReady);
  await eventually(() => (readFileSync(note, "utf8").includes("app starts") ? true : undefined), "the application");
  await remove("meshed");
  assert.deepEqual(readFileSync(note, "utf8").trim().split("\n"), [
    "proxy proxy sidecar --domain shop.svc",
    "proxy ready",
    "app starts",
    "preStop",
    "app is told",
    "proxy ends",
  ]);
  assert.equal(existsSync(join(dataDir, "logs", NAMESPACE, "meshed")), false);
});

test("logs: tail, timestamps and following until the end; exec: input, output, exit code", async () => {
  const command = script(
    'let n = 0; setInterval(() => console.log("line " + n++), 20); process.on("SIGTERM", () => process.exit(0))',
  );
  await create(pod("talker", { terminationGracePeriodSeconds: 2, containers: [{ name: "app", image: "x", command }] }));
  const found = await podWhen(world, "talker", isReady);
  await eventually(async () => ((await logOf(found, "app")).includes("line 3\n") ? true : undefined), "some lines");
  assert.match(await logOf(found, "app", { tailLines: 1, timestamps: true }), /^\d{4}-\d\d-\d\dT[\d:.]+Z line \d+\n$/);

  const ref = { namespace: NAMESPACE, pod: "talker", uid: found.metadata.uid ?? "", container: "app" };
  const session = value(
    await world.node.runtime.exec(ref, {
      command: ["sh", "-c", "read x; echo got $x on $HOST; echo oops >&2; exit 7"],
      stdin: true,
      tty: false,
    }),
  );
  session.stdin.end("this\n");
  const [out, errors, status] = await Promise.all([read(session.stdout), read(session.stderr), session.exited]);
  assert.deepEqual([out, errors, status.exitCode], [`got this on ${found.status?.podIP}\n`, "oops\n", 7]);

  const followed = logOf(found, "app", { follow: true, tailLines: 0 });
  await new Promise((resolve) => setTimeout(resolve, 200));
  await remove("talker");
  const lines = (await followed).trim().split("\n");
  assert.ok(lines.length >= 3, `followed lines: ${lines}`);
  const numbers = lines.map((line) => Number(line.split(" ")[1]));
  assert.ok(
    numbers.every((number, index) => index === 0 || number === (numbers[index - 1] ?? 0) + 1),
    String(numbers),
  );
});

test("init containers run one after the other before the others", async () => {
  const step = (text: string) =>
    script(`require("node:fs").appendFileSync(process.env.WEFT_FILES_ROOT + "/shared/steps", "${text} ")`);
  const mount = { volumeMounts: [{ name: "shared", mountPath: "/shared" }] };
  await create(
    pod("staged", {
      restartPolicy: "Never",
      volumes: [{ name: "shared", emptyDir: {} }],
      initContainers: [
        { name: "one", image: "x", command: step("one"), ...mount },
        { name: "two", image: "x", command: step("two"), ...mount },
      ],
      containers: [
        {
          name: "app",
          image: "x",
          command: script(
            'console.log(require("node:fs").readFileSync(process.env.WEFT_FILES_ROOT + "/shared/steps", "utf8"))',
          ),
          ...mount,
        },
      ],
    }),
  );
  const over = await podWhen(world, "staged", (found) => found.status?.phase === "Succeeded");
  assert.equal(await logOf(over, "app"), "one two \n");
  assert.deepEqual(world.failures, []);
});
