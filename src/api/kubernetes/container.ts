// A container of a pod: what to run, with what, and how to know that it lives.

import type { Static } from "typebox";
import {
  flag,
  int32,
  int64,
  intOrString,
  list,
  localReference,
  mergeList,
  oneOf,
  quantities,
  struct,
  text,
  texts,
  withDefault,
} from "./fields.ts";
import { envFieldRef, envResourceFieldRef, volumeMount } from "./volume.ts";

const keySelector = struct({ key: text }, { name: text, optional: flag });

const envVar = struct(
  { name: text },
  {
    value: text,
    valueFrom: struct(
      {},
      {
        fieldRef: envFieldRef,
        resourceFieldRef: envResourceFieldRef,
        configMapKeyRef: keySelector,
        secretKeyRef: keySelector,
        fileKeyRef: struct({ key: text, path: text, volumeName: text }, { optional: flag }),
      },
    ),
  },
);
export type EnvVar = Static<typeof envVar>;

const envFrom = struct(
  {},
  {
    prefix: text,
    configMapRef: struct({}, { name: text, optional: flag }),
    secretRef: struct({}, { name: text, optional: flag }),
  },
);
export type EnvFromSource = Static<typeof envFrom>;

const containerPort = struct(
  { containerPort: int32 },
  { name: text, hostPort: int32, hostIP: text, protocol: withDefault(oneOf("TCP", "UDP", "SCTP"), "TCP") },
);

const execAction = struct({}, { command: texts });
const httpGetAction = struct(
  { port: intOrString },
  {
    path: text,
    host: text,
    scheme: oneOf("HTTP", "HTTPS"),
    httpHeaders: list(struct({ name: text, value: text }, {})),
  },
);
export type HTTPGetAction = Static<typeof httpGetAction>;
const tcpSocketAction = struct({ port: intOrString }, { host: text });
const handlers = { exec: execAction, httpGet: httpGetAction, tcpSocket: tcpSocketAction };

const probe = struct(
  {},
  {
    ...handlers,
    grpc: struct({ port: int32 }, { service: text }),
    initialDelaySeconds: int32,
    timeoutSeconds: int32,
    periodSeconds: int32,
    successThreshold: int32,
    failureThreshold: int32,
    terminationGracePeriodSeconds: int64,
  },
);
export type Probe = Static<typeof probe>;

const lifecycleHandler = struct({}, { ...handlers, sleep: struct({ seconds: int64 }, {}) });
export type LifecycleHandler = Static<typeof lifecycleHandler>;

export const resources = struct(
  {},
  { limits: quantities, requests: quantities, claims: list(struct({ name: text }, { request: text })) },
);

export const seLinuxOptions = struct({}, { level: text, role: text, type: text, user: text });
export const seccompProfile = struct(
  { type: oneOf("Unconfined", "RuntimeDefault", "Localhost") },
  { localhostProfile: text },
);
export const windowsOptions = struct(
  {},
  { gmsaCredentialSpec: text, gmsaCredentialSpecName: text, hostProcess: flag, runAsUserName: text },
);

const securityContext = struct(
  {},
  {
    allowPrivilegeEscalation: flag,
    appArmorProfile: seccompProfile,
    capabilities: struct({}, { add: texts, drop: texts }),
    privileged: flag,
    procMount: text,
    readOnlyRootFilesystem: flag,
    runAsGroup: int64,
    runAsNonRoot: flag,
    runAsUser: int64,
    seLinuxOptions,
    seccompProfile,
    windowsOptions,
  },
);

const containerFields = {
  image: text,
  command: texts,
  args: texts,
  workingDir: text,
  ports: mergeList(containerPort, "containerPort", ["containerPort", "protocol"]),
  env: mergeList(envVar, "name"),
  envFrom: list(envFrom),
  resources,
  resizePolicy: list(struct({ resourceName: text, restartPolicy: text }, {})),
  restartPolicy: oneOf("Always", "OnFailure", "Never"),
  restartPolicyRules: list(
    struct({ action: text }, { exitCodes: struct({ operator: text }, { values: list(int32) }) }),
  ),
  volumeMounts: mergeList(volumeMount, "mountPath"),
  volumeDevices: mergeList(struct({ devicePath: text, name: text }, {}), "devicePath"),
  livenessProbe: probe,
  readinessProbe: probe,
  startupProbe: probe,
  lifecycle: struct({}, { postStart: lifecycleHandler, preStop: lifecycleHandler, stopSignal: text }),
  terminationMessagePath: text,
  terminationMessagePolicy: oneOf("File", "FallbackToLogsOnError"),
  imagePullPolicy: oneOf("Always", "IfNotPresent", "Never"),
  securityContext,
  stdin: flag,
  stdinOnce: flag,
  tty: flag,
};

export const container = struct({ name: text }, containerFields);
export type Container = Static<typeof container>;

export const ephemeralContainer = struct({ name: text }, { ...containerFields, targetContainerName: text });

export const imagePullSecrets = mergeList(localReference, "name");

const terminated = struct(
  { exitCode: int32 },
  { signal: int32, reason: text, message: text, startedAt: text, finishedAt: text, containerID: text },
);
export type ContainerStateTerminated = Static<typeof terminated>;

/** Exactly one of the three is set. */
const containerState = struct(
  {},
  {
    waiting: struct({}, { reason: text, message: text }),
    running: struct({}, { startedAt: text }),
    terminated,
  },
);
export type ContainerState = Static<typeof containerState>;

export const containerStatus = struct(
  { name: text, ready: flag, restartCount: int32, image: text, imageID: text },
  {
    state: containerState,
    lastState: containerState,
    started: flag,
    containerID: text,
    allocatedResources: quantities,
    resources,
    volumeMounts: list(struct({ mountPath: text, name: text }, { readOnly: flag, recursiveReadOnly: text })),
    user: struct({}, { linux: struct({ gid: int64, uid: int64 }, { supplementalGroups: list(int64) }) }),
    stopSignal: text,
  },
);
export type ContainerStatus = Static<typeof containerStatus>;
