import assert from "node:assert/strict";
import { test } from "node:test";
import { eraseKind, type Kind } from "../../../src/api/kind.ts";
import { configMapKind } from "../../../src/api/kubernetes/config-map.ts";
import { deploymentKind } from "../../../src/api/kubernetes/deployment.ts";
import { kubernetesKinds } from "../../../src/api/kubernetes/kinds.ts";
import { podKind } from "../../../src/api/kubernetes/pod.ts";
import { secretKind } from "../../../src/api/kubernetes/secret.ts";
import { serviceKind } from "../../../src/api/kubernetes/service.ts";
import { makeRegistry } from "../../../src/api/registry.ts";
import { checkMetadata, validateStructure } from "../../../src/api/validate.ts";

function issuesOf(kind: Kind, body: object): string[] {
  const { issues } = validateStructure(kind, { apiVersion: "v1", kind: kind.kind, metadata: { name: "a" }, ...body });
  return issues.map((issue) => `${issue.reason} ${issue.path}`);
}

test("every issue has its path and reason", () => {
  const body = {
    spec: {
      replicas: "2",
      selctor: {},
      template: {
        metadata: { labels: { a: 1 } },
        spec: {
          restartPolicy: "Sometimes",
          containers: [
            { image: 1, ports: [{ containerPort: 1.5 }], resources: { limits: { cpu: "lots", memory: 5 } } },
            { name: "b", livenessProbe: { httpGet: { port: "http", paht: "/" } }, args: "x" },
          ],
        },
      },
    },
  };
  assert.deepEqual(issuesOf(eraseKind(deploymentKind), body).sort(), [
    "required spec.selector",
    "required spec.template.spec.containers[0].name",
    "type spec.replicas",
    "type spec.template.metadata.labels.a",
    "type spec.template.spec.containers[0].image",
    "type spec.template.spec.containers[0].ports[0].containerPort",
    "type spec.template.spec.containers[0].resources.limits.cpu",
    "type spec.template.spec.containers[1].args",
    "unknown spec.selctor",
    "unknown spec.template.spec.containers[1].livenessProbe.httpGet.paht",
    "unsupported spec.template.spec.restartPolicy",
  ]);
});

test("nulls and unknown fields are pruned, bare quantities become text, free maps stay", () => {
  const { object, issues } = validateStructure(podKind, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "a",
      creationTimestamp: null,
      annotations: { "any/thing": "x" },
      managedFields: [{ f: { "f:x": {} } }],
    },
    spec: { junk: true, nodeSelector: null, containers: [{ name: "a", resources: { limits: { cpu: 2 } } }] },
    status: {},
  });
  assert.deepEqual(
    issues.map((issue) => issue.path),
    ["spec.junk"],
  );
  assert.deepEqual(object.spec, { containers: [{ name: "a", resources: { limits: { cpu: "2" } } }] });
  assert.equal("creationTimestamp" in object.metadata, false);
});

test("a pod that uses the whole breadth of the API is valid", () => {
  const spec = {
    hostAliases: [{ ip: "1.2.3.4", hostnames: ["a"] }],
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: "a", operator: "In", values: ["b"] }] }],
        },
      },
      podAntiAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          { weight: 1, podAffinityTerm: { topologyKey: "k", labelSelector: { matchLabels: { a: "b" } } } },
        ],
      },
    },
    topologySpreadConstraints: [
      { maxSkew: 1, topologyKey: "z", whenUnsatisfiable: "DoNotSchedule", labelSelector: {} },
    ],
    tolerations: [{ key: "a", operator: "Exists", effect: "NoSchedule", tolerationSeconds: 5 }],
    dnsPolicy: "None",
    dnsConfig: { nameservers: ["1.1.1.1"], searches: ["x"], options: [{ name: "ndots", value: "2" }] },
    securityContext: {
      fsGroup: 1,
      runAsNonRoot: true,
      seccompProfile: { type: "RuntimeDefault" },
      sysctls: [{ name: "a", value: "b" }],
    },
    volumes: [
      { name: "a", emptyDir: { medium: "Memory", sizeLimit: "1Gi" } },
      {
        name: "b",
        projected: { sources: [{ serviceAccountToken: { path: "t", audience: "x" } }, { configMap: { name: "c" } }] },
      },
      { name: "c", secret: { secretName: "s", items: [{ key: "k", path: "p", mode: 256 }] } },
      { name: "d", downwardAPI: { items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }] } },
      { name: "e", csi: { driver: "d", volumeAttributes: { a: "b" } } },
      { name: "f", hostPath: { path: "/x", type: "Directory" } },
      { name: "g", persistentVolumeClaim: { claimName: "c" } },
      {
        name: "h",
        ephemeral: {
          volumeClaimTemplate: { spec: { accessModes: ["x"], resources: { requests: { storage: "1Gi" } } } },
        },
      },
    ],
    initContainers: [{ name: "i", image: "i", restartPolicy: "Always" }],
    containers: [
      {
        name: "a",
        image: "a",
        command: ["x"],
        args: ["y"],
        workingDir: "/",
        envFrom: [{ prefix: "P_", configMapRef: { name: "c", optional: true } }, { secretRef: { name: "s" } }],
        env: [
          { name: "A", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
          { name: "B", valueFrom: { resourceFieldRef: { resource: "limits.cpu", divisor: "1m" } } },
          { name: "C", valueFrom: { configMapKeyRef: { name: "c", key: "k" } } },
        ],
        ports: [{ name: "http", containerPort: 80, hostPort: 80, protocol: "TCP" }],
        resources: { limits: { cpu: "1", memory: "1Gi", "nvidia.com/gpu": 1 }, requests: { cpu: "100m" } },
        volumeMounts: [{ name: "a", mountPath: "/a", subPath: "s", readOnly: true, mountPropagation: "None" }],
        livenessProbe: { exec: { command: ["true"] }, initialDelaySeconds: 1 },
        readinessProbe: { httpGet: { path: "/", port: "http", httpHeaders: [{ name: "a", value: "b" }] } },
        startupProbe: { grpc: { port: 1 } },
        lifecycle: { preStop: { exec: { command: ["sleep", "1"] } }, postStart: { httpGet: { port: 80 } } },
        securityContext: { capabilities: { add: ["NET_ADMIN"], drop: ["ALL"] }, privileged: false, runAsUser: 1337 },
        stdin: true,
        tty: true,
      },
    ],
  };
  const { issues, object } = validateStructure(podKind, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "a" },
    spec,
  });
  assert.deepEqual(issues, []);
  const full = podKind.applyDefaults?.(object) ?? object;
  const told = podKind.check?.(full, undefined) ?? [];
  assert.deepEqual(
    told.map(({ severity, path }) => `${severity} ${path}`),
    ["warning spec.dnsConfig", "warning spec.hostAliases"],
  );
  const second = validateStructure(podKind, full);
  assert.deepEqual(second.issues, [], "what the defaults add is valid too");
});

test("defaults are Kubernetes'", () => {
  const pod = podKind.applyDefaults?.({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "a" },
    spec: {
      containers: [
        {
          name: "a",
          image: "registry:5000/a",
          ports: [{ containerPort: 1 }],
          readinessProbe: { httpGet: { port: 1 } },
          resources: { limits: { cpu: "1", memory: "1Mi" } },
        },
      ],
    },
  });
  const container = pod?.spec.containers[0];
  assert.equal(pod?.spec.terminationGracePeriodSeconds, 30);
  assert.equal(pod?.spec.serviceAccountName, "default");
  assert.equal(pod?.status?.qosClass, "Guaranteed");
  assert.equal(container?.imagePullPolicy, "Always");
  assert.deepEqual(container?.ports, [{ containerPort: 1, protocol: "TCP" }]);
  assert.deepEqual(container?.resources?.requests, { cpu: "1", memory: "1Mi" });
  assert.deepEqual(container?.readinessProbe, {
    timeoutSeconds: 1,
    periodSeconds: 10,
    successThreshold: 1,
    failureThreshold: 3,
    httpGet: { path: "/", scheme: "HTTP", port: 1 },
  });
  const secret = secretKind.applyDefaults?.({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "a" },
    data: { x: "eA==" },
    stringData: { y: "y" },
  });
  assert.deepEqual(secret?.data, { x: "eA==", y: "eQ==" });
  assert.equal(secret?.type, "Opaque");
  assert.equal(secret?.stringData, undefined);
});

test("cross-field rules name what is wrong", () => {
  const service = (spec: object) => {
    const { object } = validateStructure(serviceKind, { metadata: { name: "a" }, spec });
    return (serviceKind.check?.(object, undefined) ?? []).map((issue) => issue.path);
  };
  assert.deepEqual(service({ ports: [{ port: 80 }, { port: 80 }] }), [
    "spec.ports[0].name",
    "spec.ports[1].name",
    "spec.ports[1]",
  ]);
  assert.deepEqual(service({}), ["spec.ports"]);
  assert.deepEqual(service({ type: "ExternalName" }), ["spec.externalName"]);
  assert.deepEqual(service({ ports: [{ port: 99_999 }] }), ["spec.ports[0].port"]);
  const bad = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" }, data: { "a/b": "x" } };
  assert.equal(configMapKind.check?.(bad, undefined)[0]?.path, "data[a/b]");
  assert.deepEqual(
    checkMetadata({ name: "Upper" }).map((issue) => issue.path),
    ["metadata.name"],
  );
});

test("the registry finds a kind by URL, manifest and what people type", () => {
  const registry = makeRegistry(kubernetesKinds);
  assert.equal(registry.byPlural("apps", "v1", "deployments"), eraseKind(deploymentKind));
  assert.equal(registry.byApiVersion("v1", "Pod"), eraseKind(podKind));
  for (const name of ["po", "pod", "pods", "Pod"]) assert.equal(registry.byAnyName(name), eraseKind(podKind));
  assert.equal(registry.byAnyName("deployments.apps"), eraseKind(deploymentKind));
  assert.equal(registry.byPlural("apps", "v2", "deployments"), undefined);
});
