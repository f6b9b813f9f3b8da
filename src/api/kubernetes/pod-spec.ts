// The specification of a pod, also as part of every kind that makes pods.

import type { Static } from "typebox";
import {
  container,
  ephemeralContainer,
  imagePullSecrets,
  resources,
  seccompProfile,
  seLinuxOptions,
  windowsOptions,
} from "./container.ts";
import {
  atomic,
  flag,
  int32,
  int64,
  intOrString,
  labelSelector,
  list,
  mergeList,
  objectMeta,
  oneOf,
  quantities,
  struct,
  text,
  textMap,
  texts,
} from "./fields.ts";
import { volume } from "./volume.ts";

const nodeRequirement = struct({ key: text, operator: text }, { values: texts });
const nodeTerm = struct({}, { matchExpressions: list(nodeRequirement), matchFields: list(nodeRequirement) });
const podTerm = struct(
  { topologyKey: text },
  {
    labelSelector,
    namespaceSelector: labelSelector,
    namespaces: texts,
    matchLabelKeys: texts,
    mismatchLabelKeys: texts,
  },
);
const podAffinity = struct(
  {},
  {
    preferredDuringSchedulingIgnoredDuringExecution: list(struct({ podAffinityTerm: podTerm, weight: int32 }, {})),
    requiredDuringSchedulingIgnoredDuringExecution: list(podTerm),
  },
);

const affinity = struct(
  {},
  {
    nodeAffinity: struct(
      {},
      {
        preferredDuringSchedulingIgnoredDuringExecution: list(struct({ preference: nodeTerm, weight: int32 }, {})),
        requiredDuringSchedulingIgnoredDuringExecution: struct({ nodeSelectorTerms: list(nodeTerm) }, {}),
      },
    ),
    podAffinity,
    podAntiAffinity: podAffinity,
  },
);

const toleration = struct({}, { key: text, operator: text, value: text, effect: text, tolerationSeconds: int64 });

const podSecurityContext = struct(
  {},
  {
    appArmorProfile: seccompProfile,
    fsGroup: int64,
    fsGroupChangePolicy: text,
    runAsGroup: int64,
    runAsNonRoot: flag,
    runAsUser: int64,
    seLinuxChangePolicy: text,
    seLinuxOptions,
    seccompProfile,
    supplementalGroups: list(int64),
    supplementalGroupsPolicy: text,
    sysctls: list(struct({ name: text, value: text }, {})),
    windowsOptions,
  },
);

const topologySpread = struct(
  { maxSkew: int32, topologyKey: text, whenUnsatisfiable: text },
  {
    labelSelector,
    matchLabelKeys: texts,
    minDomains: int32,
    nodeAffinityPolicy: text,
    nodeTaintsPolicy: text,
  },
);

export const podSpec = struct(
  { containers: mergeList(container, "name") },
  {
    initContainers: mergeList(container, "name"),
    ephemeralContainers: mergeList(ephemeralContainer, "name"),
    volumes: mergeList(volume, "name"),
    restartPolicy: oneOf("Always", "OnFailure", "Never"),
    terminationGracePeriodSeconds: int64,
    activeDeadlineSeconds: int64,
    dnsPolicy: oneOf("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
    dnsConfig: struct(
      {},
      { nameservers: texts, searches: texts, options: list(struct({}, { name: text, value: text })) },
    ),
    nodeSelector: atomic(textMap),
    nodeName: text,
    serviceAccountName: text,
    serviceAccount: text,
    automountServiceAccountToken: flag,
    hostNetwork: flag,
    hostPID: flag,
    hostIPC: flag,
    hostUsers: flag,
    shareProcessNamespace: flag,
    securityContext: podSecurityContext,
    imagePullSecrets,
    hostname: text,
    hostnameOverride: text,
    subdomain: text,
    setHostnameAsFQDN: flag,
    affinity,
    schedulerName: text,
    schedulingGates: mergeList(struct({ name: text }, {}), "name"),
    tolerations: list(toleration),
    hostAliases: mergeList(struct({ ip: text }, { hostnames: texts }), "ip"),
    priorityClassName: text,
    priority: int32,
    preemptionPolicy: oneOf("Never", "PreemptLowerPriority"),
    readinessGates: list(struct({ conditionType: text }, {})),
    runtimeClassName: text,
    enableServiceLinks: flag,
    overhead: quantities,
    topologySpreadConstraints: mergeList(topologySpread, "topologyKey", ["topologyKey", "whenUnsatisfiable"]),
    os: struct({ name: text }, {}),
    resourceClaims: mergeList(
      struct({ name: text }, { resourceClaimName: text, resourceClaimTemplateName: text }),
      "name",
    ),
    resources,
  },
);
export type PodSpec = Static<typeof podSpec>;

export const podTemplate = struct({}, { metadata: objectMeta, spec: podSpec });
export type PodTemplate = Static<typeof podTemplate>;

/** How many pods may be missing or extra while a new version rolls out: a number or a percentage. */
export const rolloutBound = intOrString;
