// NetworkPolicies as rules: whom they select, and the nftables text that they become.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { namespaceKind } from "../../../src/api/kubernetes/namespace.ts";
import { networkPolicyKind } from "../../../src/api/kubernetes/network-policy.ts";
import { podKind } from "../../../src/api/kubernetes/pod.ts";
import { validateStructure } from "../../../src/api/validate.ts";
import { podFirewalls } from "../../../src/node/network-policy.ts";
import { firewallTables } from "../../../src/node/transparent/firewall-table.ts";

const pod = (namespace: string, name: string, phase = "Running") =>
  validateStructure(podKind, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace, name, labels: { app: name } },
    spec: { containers: [{ name: "c", ports: [{ name: "http", containerPort: name === "db" ? 5432 : 8080 }] }] },
    status: { phase },
  }).object;
const namespaces = ["shop", "kube-system"].map(
  (name) =>
    validateStructure(namespaceKind, { apiVersion: "v1", kind: "Namespace", metadata: { name, labels: { ns: name } } })
      .object,
);
const policy = (spec: Record<string, unknown>) => {
  const { object } = validateStructure(networkPolicyKind, {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { namespace: "shop", name: "p" },
    spec,
  });
  return networkPolicyKind.applyDefaults?.(object) ?? object;
};

function tables(...policies: ReturnType<typeof policy>[]) {
  const pods = [pod("shop", "api"), pod("shop", "db"), pod("shop", "old", "Succeeded"), pod("other", "api")];
  const addresses = new Map([
    ["shop/api", ["10.0.0.1", "10.0.0.9"]],
    ["shop/db", ["10.0.0.2"]],
    ["shop/old", ["10.0.0.3"]],
  ]);
  return firewallTables(podFirewalls({ policies, pods, namespaces }), { pods: addresses, dnsIP: "10.96.0.10" });
}

const REFUSE = "reject with icmp type admin-prohibited";

describe("firewalls of pods", () => {
  it("are none without policies, and none for pods that no policy selects", () => {
    assert.deepEqual(tables().ingress.size, 0);
    const { ingress, egress } = tables(policy({ podSelector: { matchLabels: { app: "db" } } }));
    assert.deepEqual([...ingress], [["10.0.0.2", `ip saddr 10.0.0.2 return\n${REFUSE}`]]);
    assert.equal(egress.size, 0);
  });

  it("know every address of a name, named ports, ranges, blocks and the name server", () => {
    const { ingress } = tables(
      policy({
        podSelector: { matchLabels: { app: "db" } },
        ingress: [
          { from: [{ podSelector: { matchLabels: { app: "api" } } }], ports: [{ port: "http" }, { protocol: "UDP" }] },
          { from: [{ ipBlock: { cidr: "10.1.0.0/16", except: ["10.1.2.0/24"] } }], ports: [{ port: 1, endPort: 9 }] },
        ],
      }),
    );
    assert.deepEqual(ingress.get("10.0.0.2")?.split("\n"), [
      "ip saddr 10.0.0.2 return",
      "ip saddr { 10.0.0.1, 10.0.0.9 } tcp dport 5432 return",
      "ip saddr { 10.0.0.1, 10.0.0.9 } meta l4proto udp return",
      "ip saddr 10.1.0.0/16 ip saddr != { 10.1.2.0/24 } tcp dport 1-9 return",
      REFUSE,
    ]);
    const { egress } = tables(
      policy({
        podSelector: {},
        policyTypes: ["Egress"],
        egress: [
          {
            to: [{ namespaceSelector: { matchLabels: { ns: "kube-system" } } }],
            ports: [{ port: 53, protocol: "UDP" }],
          },
          { to: [{ podSelector: {} }], ports: [{ port: "http" }] },
        ],
      }),
    );
    assert.deepEqual(egress.get("10.0.0.9")?.split("\n"), [
      "ip daddr 10.0.0.9 return",
      "ip daddr { 10.96.0.10 } udp dport 53 return",
      "ip daddr { 10.0.0.1, 10.0.0.9 } tcp dport 8080 return",
      "ip daddr { 10.0.0.2 } tcp dport 5432 return",
      REFUSE,
    ]);
    // What has ended has no rules, though its address is not given back yet.
    assert.equal(egress.has("10.0.0.3"), false);
  });
});
