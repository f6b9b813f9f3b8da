// What Kubernetes fills into a pod's specification where the manifest is silent.

import type { Container, HTTPGetAction, LifecycleHandler, Probe } from "./container.ts";
import type { PodSpec } from "./pod-spec.ts";
import type { Volume } from "./volume.ts";

const FILE_MODE_DEFAULT = 0o644;
const TOKEN_SECONDS_DEFAULT = 3600;

/** Defaults of a pod's specification, in a pod and in a template alike. */
export function podSpecDefaults(spec: PodSpec): PodSpec {
  const account = spec.serviceAccountName ?? spec.serviceAccount;
  return {
    restartPolicy: "Always",
    terminationGracePeriodSeconds: 30,
    dnsPolicy: "ClusterFirst",
    schedulerName: "default-scheduler",
    securityContext: {},
    ...spec,
    ...(account === undefined ? {} : { serviceAccountName: account, serviceAccount: account }),
    containers: spec.containers.map(containerDefaults),
    ...(spec.initContainers === undefined ? {} : { initContainers: spec.initContainers.map(containerDefaults) }),
    ...(spec.volumes === undefined ? {} : { volumes: spec.volumes.map(volumeDefaults) }),
  };
}

function containerDefaults(container: Container): Container {
  return {
    resources: {},
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    imagePullPolicy: pullPolicyOf(container.image ?? ""),
    ...container,
    ...(container.ports === undefined
      ? {}
      : { ports: container.ports.map((port) => ({ ...port, protocol: port.protocol ?? "TCP" })) }),
    ...(container.env === undefined ? {} : { env: container.env.map(envDefaults) }),
    ...(container.livenessProbe === undefined ? {} : { livenessProbe: probeDefaults(container.livenessProbe) }),
    ...(container.readinessProbe === undefined ? {} : { readinessProbe: probeDefaults(container.readinessProbe) }),
    ...(container.startupProbe === undefined ? {} : { startupProbe: probeDefaults(container.startupProbe) }),
    ...(container.lifecycle === undefined ? {} : { lifecycle: lifecycleDefaults(container.lifecycle) }),
  };
}

function pullPolicyOf(image: string): "Always" | "IfNotPresent" {
  if (image.includes("@")) return "IfNotPresent";
  const tag = /:([^:/]+)$/.exec(image)?.[1] ?? "latest";
  return tag === "latest" ? "Always" : "IfNotPresent";
}

function envDefaults(env: NonNullable<Container["env"]>[number]): NonNullable<Container["env"]>[number] {
  const fieldRef = env.valueFrom?.fieldRef;
  if (fieldRef === undefined) return env;
  return { ...env, valueFrom: { ...env.valueFrom, fieldRef: { apiVersion: "v1", ...fieldRef } } };
}

function probeDefaults(probe: Probe): Probe {
  return {
    timeoutSeconds: 1,
    periodSeconds: 10,
    successThreshold: 1,
    failureThreshold: 3,
    ...probe,
    ...(probe.httpGet === undefined ? {} : { httpGet: httpGetDefaults(probe.httpGet) }),
    ...(probe.grpc === undefined ? {} : { grpc: { service: "", ...probe.grpc } }),
  };
}

function httpGetDefaults(action: HTTPGetAction): HTTPGetAction {
  return { path: "/", scheme: "HTTP", ...action };
}

function lifecycleDefaults(lifecycle: NonNullable<Container["lifecycle"]>): NonNullable<Container["lifecycle"]> {
  const handler = (given: LifecycleHandler): LifecycleHandler =>
    given.httpGet === undefined ? given : { ...given, httpGet: httpGetDefaults(given.httpGet) };
  return {
    ...lifecycle,
    ...(lifecycle.preStop === undefined ? {} : { preStop: handler(lifecycle.preStop) }),
    ...(lifecycle.postStart === undefined ? {} : { postStart: handler(lifecycle.postStart) }),
  };
}

function volumeDefaults(volume: Volume): Volume {
  const mode = { defaultMode: FILE_MODE_DEFAULT };
  if (Object.keys(volume).length === 1) return { ...volume, emptyDir: {} };
  return {
    ...volume,
    ...(volume.configMap === undefined ? {} : { configMap: { ...mode, ...volume.configMap } }),
    ...(volume.secret === undefined ? {} : { secret: { ...mode, ...volume.secret } }),
    ...(volume.downwardAPI === undefined ? {} : { downwardAPI: { ...mode, ...volume.downwardAPI } }),
    ...(volume.hostPath === undefined ? {} : { hostPath: { type: "", ...volume.hostPath } }),
    ...(volume.projected === undefined ? {} : { projected: projectedDefaults(volume.projected) }),
  };
}

function projectedDefaults(projected: NonNullable<Volume["projected"]>): NonNullable<Volume["projected"]> {
  return {
    defaultMode: FILE_MODE_DEFAULT,
    ...projected,
    ...(projected.sources === undefined
      ? {}
      : {
          sources: projected.sources.map((source) =>
            source.serviceAccountToken === undefined
              ? source
              : {
                  ...source,
                  serviceAccountToken: { expirationSeconds: TOKEN_SECONDS_DEFAULT, ...source.serviceAccountToken },
                },
          ),
        }),
  };
}
