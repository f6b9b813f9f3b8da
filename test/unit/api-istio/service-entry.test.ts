// Rules of ServiceEntry, WorkloadEntry and WorkloadGroup: each mistake is named by its place.

import assert from "node:assert/strict";
import { test } from "node:test";
import { serviceEntryKind } from "../../../src/api/istio/service-entry.ts";
import { workloadEntryKind } from "../../../src/api/istio/workload-entry.ts";
import { workloadGroupKind } from "../../../src/api/istio/workload-group.ts";
import { eraseKind, type Kind } from "../../../src/api/kind.ts";
import { judge } from "./structure.ts";

function issues(kind: Kind, spec: object): string[] {
  const verdict = judge(kind, { apiVersion: "x/v1", kind: kind.kind, metadata: { name: "n" }, spec });
  return [
    ...verdict.structural,
    ...verdict.issues.map(({ severity, path }) => (severity === "error" ? path : `warning ${path}`)),
  ];
}

const http = { number: 80, name: "http", protocol: "HTTP" };
const tcp = { number: 9000, name: "tcp", protocol: "TCP" };

test("ServiceEntry", () => {
  const hosts = ["a.example.com"];
  const cases: readonly (readonly [object, readonly string[]])[] = [
    [{ hosts, ports: [http], resolution: "DNS" }, []],
    [{ hosts: ["*"], ports: [http] }, ["spec.hosts[0]"]],
    [{ hosts: ["*.example.com"], ports: [http] }, []],
    [{ hosts: ["*.example.com"], ports: [http], resolution: "DNS" }, ["spec.hosts[0]"]],
    [{ hosts: ["*.example.com"], ports: [http], resolution: "DNS", endpoints: [{ address: "b.example.com" }] }, []],
    [{ hosts: ["a.example.com", "a.example.com"], ports: [http] }, ["spec.hosts[1]"]],
    [{ hosts: ["a b"], ports: [http] }, ["spec.hosts[0]"]],
    [{ hosts }, ["warning spec.ports"]],
    [{ hosts, ports: [http, { ...http, name: "again" }] }, ["spec.ports[1].number"]],
    [{ hosts, ports: [http, { ...http, number: 81 }] }, ["spec.ports[1].name"]],
    [{ hosts, ports: [{ ...http, protocol: "SOAP" }] }, ["spec.ports[0].protocol"]],
    [{ hosts, ports: [{ ...http, number: 70_000 }] }, ["spec.ports[0].number"]],
    [{ hosts, ports: [{ ...http, targetPort: 8080 }] }, ["warning spec.ports[0].targetPort"]],
    [{ hosts, ports: [http], addresses: ["10.0.0.1", "2001:db8::/32"] }, []],
    [{ hosts, ports: [http], addresses: ["10.0.0.0/33"] }, ["spec.addresses[0]"]],
    [{ hosts, ports: [http], addresses: ["unix:///a"] }, ["spec.addresses[0]"]],
    [{ hosts, ports: [http], addresses: ["10.0.0.0/8"], resolution: "DNS" }, ["spec.addresses[0]"]],
    [{ hosts, ports: [http], endpoints: [{ address: "10.0.0.1" }] }, ["spec.endpoints"]],
    [{ hosts, ports: [http], resolution: "STATIC" }, ["warning spec.endpoints"]],
    [
      { hosts, ports: [http], resolution: "STATIC", endpoints: [{ address: "b.example.com" }] },
      ["spec.endpoints[0].address"],
    ],
    [{ hosts, ports: [http], resolution: "STATIC", endpoints: [{ address: "unix:///run/a" }] }, []],
    [
      { hosts, ports: [http], resolution: "DNS", endpoints: [{ address: "unix:///run/a" }] },
      ["spec.endpoints[0].address"],
    ],
    [
      { hosts, ports: [http, tcp], resolution: "STATIC", endpoints: [{ address: "unix:///run/a" }] },
      ["spec.endpoints[0].address"],
    ],
    [
      { hosts, ports: [http], resolution: "STATIC", endpoints: [{ address: "unix://run/a" }] },
      ["spec.endpoints[0].address"],
    ],
    [
      { hosts, ports: [http], resolution: "STATIC", endpoints: [{ address: "10.0.0.1", ports: { web: 1 } }] },
      ["spec.endpoints[0].ports[web]"],
    ],
    [{ hosts, ports: [http], resolution: "STATIC", endpoints: [{}] }, ["spec.endpoints[0].address"]],
    [
      {
        hosts,
        ports: [http],
        resolution: "STATIC",
        workloadSelector: { labels: { app: "a" } },
        endpoints: [{ address: "10.0.0.1" }],
      },
      ["spec.workloadSelector"],
    ],
    [
      { hosts, ports: [http], resolution: "STATIC", workloadSelector: { labels: { app: "a*" } } },
      ["spec.workloadSelector.labels[app]"],
    ],
    [
      { hosts, ports: [http], resolution: "DNS_ROUND_ROBIN", endpoints: [{ address: "b.c" }, { address: "d.e" }] },
      ["spec.endpoints"],
    ],
    [{ hosts: ["a.b", "c.d"], ports: [tcp], resolution: "DNS" }, ["spec.hosts"]],
    [{ hosts: ["a.b", "c.d"], ports: [tcp] }, []],
    [{ hosts, ports: [http], exportTo: ["*", "shop"] }, ["spec.exportTo[0]"]],
    [{ hosts, ports: [http], exportTo: ["not a namespace"] }, ["spec.exportTo[0]"]],
    [{ hosts, ports: [http], subjectAltNames: [""] }, ["spec.subjectAltNames[0]"]],
    [{ hosts, ports: [http], location: "MARS" }, ["spec.location: must be equal to one of the allowed values"]],
  ];
  for (const [spec, expected] of cases) {
    assert.deepEqual(issues(eraseKind(serviceEntryKind), spec), expected, JSON.stringify(spec));
  }
});

test("WorkloadEntry and WorkloadGroup", () => {
  const entry = eraseKind(workloadEntryKind);
  assert.deepEqual(issues(entry, { address: "10.0.0.1", ports: { http: 8080 }, labels: { app: "a" } }), []);
  assert.deepEqual(issues(entry, {}), ["spec.address"]);
  assert.deepEqual(issues(entry, { network: "two" }), ["warning spec.address", "warning spec.network"]);
  assert.deepEqual(issues(entry, { address: "unix:///run/a", ports: { http: 1 } }), ["spec.ports"]);
  assert.deepEqual(issues(entry, { address: "10.0.0.1", ports: { http: 0 } }), ["spec.ports[http]"]);
  assert.deepEqual(issues(entry, { address: "10.0.0.1", labels: { app: "no label!" } }), ["spec.labels[app]"]);
  const group = eraseKind(workloadGroupKind);
  assert.deepEqual(issues(group, { template: { address: "10.0.0.1" } }), [
    "spec.template.address",
    "warning spec.template",
  ]);
  const probe = { httpGet: { port: 80 } };
  assert.deepEqual(issues(group, { template: { serviceAccount: "vm" }, probe }), [
    "warning spec.template",
    "warning spec.probe",
  ]);
});
