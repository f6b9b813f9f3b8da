// NetworkPolicies on the local cluster: who reaches whom, by which port, under which policies. Every cell is a connection.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { isRecord } from "../../../src/base/json.ts";
import { probeTransparent } from "../../../src/cluster/launch/probe.ts";
import { type Cluster, startCluster, until } from "./cluster.ts";
import { kubectlAbsence } from "./kubectl.ts";

const probe = await probeTransparent();
const skip = kubectlAbsence() ?? (probe.works ? false : probe.reason);

/** Answers on two TCP ports and on a UDP one. */
const SERVER = `
for (const port of [8080, 9090]) require("http").createServer((q, s) => s.end("hello")).listen(port);
const udp = require("dgram").createSocket("udp4", (bytes, from) => udp.send("pong", from.port, from.address)).bind(5353);`;

/** Tries the words IP:PORT or udp:IP:PORT and prints what came of each. */
const CLIENT = `
const tcp = (host, port) => new Promise((done) => {
  const socket = require("net").connect({ host, port, timeout: 1500 });
  const end = (word) => { socket.destroy(); done(word); };
  socket.on("connect", () => end("open")).on("timeout", () => end("silent")).on("error", ({ code }) => end(code));
});
const udp = (host, port) => new Promise((done) => {
  const socket = require("dgram").createSocket("udp4");
  const end = (word) => { clearTimeout(timer); socket.close(); done(word); };
  const timer = setTimeout(end, 700, "silent");
  socket.on("message", () => end("open")).on("error", ({ code }) => end(code));
  socket.connect(port, host, () => socket.send("ping"));
});
const one = async (word) => {
  const [kind, ...rest] = word.startsWith("udp:") ? word.split(":") : ["tcp", ...word.split(":")];
  return [word, await (kind === "udp" ? udp : tcp)(rest[0], Number(rest[1]))];
};
Promise.all(process.argv.slice(1).map(one)).then((all) => console.log(JSON.stringify(Object.fromEntries(all))));`;

const PODS = ["net-a/web", "net-a/db", "net-b/web"] as const;
type PodName = (typeof PODS)[number];
const PORTS = ["8080", "9090", "udp"] as const;
type Port = (typeof PORTS)[number];

interface Case {
  readonly name: string;
  readonly policies: readonly string[];
  /** Whether a call gets through. */
  readonly allows: (from: PodName, to: PodName, port: Port) => boolean;
}

const policy = (namespace: string, name: string, spec: string) =>
  `{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {namespace: ${namespace}, name: ${name}}, spec: ${spec}}`;
const DB = "podSelector: {matchLabels: {app: db}}";
const isDb = (pod: PodName) => pod === "net-a/db";

const CASES: readonly Case[] = [
  { name: "no policy", policies: [], allows: () => true },
  {
    name: "nothing comes into a namespace",
    policies: [policy("net-a", "deny", "{podSelector: {}, policyTypes: [Ingress]}")],
    allows: (_from, to) => to === "net-b/web",
  },
  {
    name: "one pod takes calls of another by its labels, on one port",
    policies: [
      policy(
        "net-a",
        "db",
        `{${DB}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 8080}]}]}`,
      ),
    ],
    allows: (from, to, port) => !isDb(to) || (from === "net-a/web" && port === "8080"),
  },
  {
    name: "by the namespace's labels, on a range of ports",
    policies: [
      policy(
        "net-a",
        "db",
        `{${DB}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: b}}}], ports: [{port: 8000, endPort: 9100}]}]}`,
      ),
    ],
    allows: (from, to, port) => !isDb(to) || (from === "net-b/web" && port !== "udp"),
  },
  {
    name: "by both, where both must fit",
    policies: [
      policy(
        "net-a",
        "db",
        `{${DB}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: b}}, podSelector: {matchLabels: {app: db}}}]}]}`,
      ),
    ],
    allows: (_from, to) => !isDb(to),
  },
  {
    name: "a port by its name, UDP among them",
    policies: [policy("net-a", "db", `{${DB}, ingress: [{ports: [{port: admin}, {port: names, protocol: UDP}]}]}`)],
    allows: (_from, to, port) => !isDb(to) || port !== "8080",
  },
  {
    name: "expressions, and what two policies allow together",
    policies: [
      policy(
        "net-a",
        "one",
        `{podSelector: {matchExpressions: [{key: app, operator: In, values: [db, cache]}]}, ingress: [{ports: [{port: 8080}]}]}`,
      ),
      policy("net-a", "two", `{${DB}, ingress: [{ports: [{port: 9090}]}]}`),
    ],
    allows: (_from, to, port) => !isDb(to) || port !== "udp",
  },
  {
    name: "nothing leaves a pod",
    policies: [policy("net-a", "out", `{${DB}, policyTypes: [Egress]}`)],
    allows: (from) => !isDb(from),
  },
  {
    name: "a pod may call some, by labels and port name, and is still called by all",
    policies: [
      policy(
        "net-a",
        "out",
        `{${DB}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}], ports: [{port: http}]}]}`,
      ),
    ],
    allows: (from, _to, port) => !isDb(from) || port === "8080",
  },
  {
    name: "both ends must agree",
    policies: [
      policy("net-a", "out", `{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]}`),
      policy("net-b", "in", "{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}"),
    ],
    allows: (from, to) => (from !== "net-b/web") === (to !== "net-b/web") || from === "net-b/web",
  },
  {
    name: "blocks of addresses, and what is taken out of them",
    policies: [
      policy("net-a", "db", `{${DB}, ingress: [{from: [{ipBlock: {cidr: 10.244.0.0/16, except: [NET_B_WEB/32]}}]}]}`),
    ],
    allows: (from, to) => !isDb(to) || from !== "net-b/web",
  },
];

describe("NetworkPolicies", { skip, timeout: 240_000 }, () => {
  let cluster: Cluster;
  const ips = new Map<string, string>();

  before(async () => {
    cluster = await startCluster();
    const namespace = (name: string, labels: string) =>
      `{apiVersion: v1, kind: Namespace, metadata: {name: ${name}, labels: {${labels}}}}`;
    await apply([
      namespace("net-a", "team: a"),
      namespace("net-b", "team: b"),
      namespace("net-m", "istio-injection: enabled"),
      ...[...PODS, "net-m/server", "net-m/client"].map(pod),
      "{apiVersion: v1, kind: Service, metadata: {name: server, namespace: net-m}, spec: {selector: {app: server}, ports: [{name: http, port: 8080}]}}",
    ]);
    for (const name of [...PODS, "net-m/server", "net-m/client"]) {
      const [ns, own] = name.split("/");
      await until(() => cluster.kubectl(`get pod ${own} -n ${ns}`), /1\/1 +Running|2\/2 +Running/, name);
      ips.set(name, (await cluster.kubectl(`get pod ${own} -n ${ns} -o jsonpath={.status.podIP}`)).out);
    }
  });
  after(() => cluster?.close());

  for (const one of CASES) {
    it(one.name, async () => {
      const texts = one.policies.map((text) => text.replace("NET_B_WEB", ips.get("net-b/web") ?? ""));
      if (texts.length > 0) await apply(texts);
      const wrong: string[] = [];
      for (const from of PODS) wrong.push(...(await wrongCalls(from, one)));
      await cluster.kubectl("delete networkpolicy --all -A");
      assert.deepEqual(wrong, []);
    });
  }

  it("names are asked for only where a rule leads to the name server", async () => {
    const dns = async () => String((await tries("net-a/db", ["udp:10.96.0.10:53"]))["udp:10.96.0.10:53"]);
    await apply([policy("net-a", "out", `{${DB}, policyTypes: [Egress]}`)]);
    assert.equal(await dns(), "EHOSTUNREACH");
    const to =
      "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, podSelector: {matchLabels: {k8s-app: kube-dns}}}";
    await apply([
      policy(
        "net-a",
        "out",
        `{${DB}, policyTypes: [Egress], egress: [{to: [${to}], ports: [{port: 53, protocol: UDP}]}]}`,
      ),
    ]);
    // What was sent is no question, so that no answer comes either.
    assert.equal(await dns(), "silent");
    await cluster.kubectl("delete networkpolicy --all -A");
  });

  it("holds between sidecars, which say why a call failed, and leaves probes and the mesh's own ports alone", async () => {
    const call = async () => {
      const words =
        "exec client -n net-m -c main -- curl -s -m 5 -o /dev/null -w %{http_code} http://server.net-m:8080/";
      return (await cluster.kubectl(words)).out;
    };
    await until(async () => ({ code: 0, err: "", out: await call() }), /200/, "a call in the mesh");
    await apply([policy("net-m", "deny", "{podSelector: {matchLabels: {app: server}}, policyTypes: [Ingress]}")]);
    // Connections that stand are let be, as in Kubernetes: the called pod begins anew without any.
    await cluster.kubectl("delete pod server -n net-m");
    await apply([pod("net-m/server")]);
    await until(() => cluster.kubectl("get pod server -n net-m"), /2\/2 +Running/, "ready in spite of the policy");
    assert.equal(await call(), "503");
    await cluster.kubectl("delete networkpolicy --all -A");
    await until(async () => ({ code: 0, err: "", out: await call() }), /200/, "the call when the policy is gone");
  });

  /** Of every call that the pod can make. */
  async function wrongCalls(from: PodName, { allows }: Case): Promise<readonly string[]> {
    const cells = PODS.filter((to) => to !== from).flatMap((to) =>
      PORTS.map((port) => ({
        to,
        port,
        word: port === "udp" ? `udp:${ips.get(to)}:5353` : `${ips.get(to)}:${port}`,
        // Who is refused hears of it.
        wanted: allows(from, to, port) ? "open" : "EHOSTUNREACH",
      })),
    );
    const seen = await tries(
      from,
      cells.map(({ word }) => word),
    );
    return cells
      .filter(({ word, wanted }) => seen[word] !== wanted)
      .map(({ to, port, word, wanted }) => `${from} to ${to} by ${port}: ${String(seen[word])} instead of ${wanted}`);
  }

  function pod(name: string): string {
    const [namespace, own] = name.split("/");
    return JSON.stringify({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { namespace, name: own, labels: { app: own } },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [
          {
            name: "main",
            image: "none",
            command: ["node", "-e", SERVER],
            ports: [
              { name: "http", containerPort: 8080 },
              { name: "admin", containerPort: 9090 },
              { name: "names", containerPort: 5353, protocol: "UDP" },
            ],
            readinessProbe: { httpGet: { port: 8080, path: "/" }, periodSeconds: 1 },
          },
        ],
      },
    });
  }

  async function apply(documents: readonly string[]): Promise<void> {
    const { code, err } = await cluster.kubectl("apply -f -", { input: `# YAML\n${documents.join("\n---\n")}` });
    assert.equal(code, 0, err);
    assert.doesNotMatch(err, /Warning/);
    // A policy holds from a moment after it was taken, as on any cluster.
    await new Promise((resolve) => setTimeout(resolve, 250));
  }

  async function tries(from: string, words: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
    const [namespace, own] = from.split("/");
    const { out, err } = await cluster.kubectl(`exec -n ${namespace} ${own} -- node -e`, { more: [CLIENT, ...words] });
    const seen: unknown = JSON.parse(out || "null");
    assert.ok(isRecord(seen), err);
    return seen;
  }
});
